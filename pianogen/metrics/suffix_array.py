"""Longest matches of every position of one sequence in another, by a suffix array: of any length, and exact.

Legend: N symbols of the text, Q symbols of the query, R rows compared.

Reference: Manber & Myers (1993), Suffix Arrays; Larsson & Sadakane (2007), Faster Suffix Sorting.
"""

import numpy as np
from jaxtyping import Int, Int32

MAX_SYMBOLS = 2**31 - 1  # positions are int32


def suffix_array(text: Int[np.ndarray, " N"]) -> Int32[np.ndarray, " N"]:
    """The positions of a text in the order of the suffixes that begin there; symbols must be from 0 to 2**31 - 1.

    Each round doubles the number of symbols that suffixes are sorted by, and sorts only those that are still equal.
    """
    if len(text) == 0:
        return np.empty(0, np.int32)
    following = np.append(text[1:].astype(np.int64), -1)
    order = np.argsort((text.astype(np.int64) << 32) + following + 1)
    suffixes = order.astype(np.int32)
    first = _is_new(text[order], following[order])
    rank = np.empty(len(text), np.int32)  # of a suffix: the place of the first one equal to it so far
    rank[suffixes] = _places_of_first(first, np.arange(len(text), dtype=np.int32))
    places, compared = _of_several(first, np.arange(len(text), dtype=np.int32)), 2
    while len(places):
        equal = suffixes[places]
        beyond = equal.astype(np.int64) + compared
        following = np.where(beyond < len(text), rank[np.minimum(beyond, len(text) - 1)], -1).astype(np.int64)
        order = np.argsort((rank[equal].astype(np.int64) << 32) + following + 1)
        equal, following = equal[order], following[order]
        first = _is_new(rank[equal], following)
        suffixes[places], rank[equal] = equal, _places_of_first(first, places)
        places, compared = _of_several(first, places), 2 * compared
    return suffixes


def _is_new(*columns: Int[np.ndarray, " N"]) -> np.ndarray:
    """Whether each row differs from the one before it."""
    new = np.ones(len(columns[0]), bool)
    new[1:] = np.any([column[1:] != column[:-1] for column in columns], axis=0)
    return new


def _places_of_first(first: np.ndarray, places: Int32[np.ndarray, " N"]) -> Int32[np.ndarray, " N"]:
    """For each row the place of the first row of its group."""
    return np.maximum.accumulate(np.where(first, places, 0))


def _of_several(first: np.ndarray, places: Int32[np.ndarray, " N"]) -> Int32[np.ndarray, " M"]:
    """The places whose group has more than one row."""
    last = np.append(first[1:], True)
    return places[~(first & last)]


def longest_matches(
    text: Int[np.ndarray, " N"], suffixes: Int32[np.ndarray, " N"], query: Int[np.ndarray, " Q"], tail_bits: int
) -> tuple[Int32[np.ndarray, " Q"], Int32[np.ndarray, " Q"]]:
    """Length of the longest match that begins at each position of the query, and where in the text one is.

    A match is any number of equal symbols, then one whose bits above the lowest `tail_bits` are equal. No symbol after
    which a match must end may be equal in text and query, the last ones among them.
    """
    if len(text) == 0:
        return np.zeros(len(query), np.int32), np.zeros(len(query), np.int32)
    begin, low = np.arange(len(query)), np.zeros(len(query), np.intp)
    high, low_common, high_common = np.full_like(low, len(text)), np.zeros_like(low), np.zeros_like(low)
    rows = begin
    while len(rows):  # a binary search for all positions at once
        middle = (low.take(rows) + high.take(rows)) // 2
        at = suffixes.take(middle).astype(np.intp)
        shared = np.minimum(low_common.take(rows), high_common.take(rows))  # is not compared again
        common = shared + _num_equal(text, at + shared, query, rows + shared)
        less = text.take(at + common) < query.take(rows + common)
        below, above = rows[less], rows[~less]
        low[below], low_common[below] = middle[less] + 1, common[less]
        high[above], high_common[above] = middle[~less], common[~less]
        rows = rows[low.take(rows) < high.take(rows)]
    before, after = suffixes[np.maximum(low - 1, 0)], suffixes[np.minimum(low, len(text) - 1)]
    lengths = [
        common + (text[at + common] >> tail_bits == query[begin + common] >> tail_bits)
        for at, common in ((before, low_common), (after, high_common))
    ]
    return np.maximum(*lengths).astype(np.int32), np.where(lengths[0] >= lengths[1], before, after)


def _num_equal(
    text: Int[np.ndarray, " N"], at: Int[np.ndarray, " R"], query: Int[np.ndarray, " Q"], begin: Int[np.ndarray, " R"]
) -> Int[np.ndarray, " R"]:
    """How many symbols are equal from each place of the text and each position of the query on."""
    count = np.zeros_like(at)
    rows = np.arange(len(at))
    while len(rows):
        equal = np.flatnonzero(text.take(at) == query.take(begin))
        rows, at, begin = rows.take(equal), at.take(equal) + 1, begin.take(equal) + 1
        count[rows] += 1
    return count
