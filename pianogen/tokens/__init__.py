"""Notes and token ids: reading, quantising, encoding, the grammar. Loads no torch; music21 only to write a score."""

from pianogen.tokens.codec import decode, encode, tokenize
from pianogen.tokens.engrave import musicxml_bytes, write_musicxml
from pianogen.tokens.midi import midi_bytes, read_midi, write_midi
from pianogen.tokens.notes import Notes, QuantisationReport, RawNotes, quantise
from pianogen.tokens.read import (
    MIDI_SUFFIXES,
    SCORE_SUFFIXES,
    find_sources,
    load_readers,
    read_performance,
    source_suffixes,
)
from pianogen.tokens.scores import read_score
from pianogen.tokens.transpose import PITCH_SHIFTS, possible_shifts, transpose
from pianogen.tokens.vocab import fingerprint, ids_of, words_of

__all__ = [
    "MIDI_SUFFIXES",
    "PITCH_SHIFTS",
    "SCORE_SUFFIXES",
    "Notes",
    "QuantisationReport",
    "RawNotes",
    "decode",
    "encode",
    "find_sources",
    "fingerprint",
    "ids_of",
    "load_readers",
    "midi_bytes",
    "musicxml_bytes",
    "possible_shifts",
    "quantise",
    "read_midi",
    "read_performance",
    "read_score",
    "source_suffixes",
    "tokenize",
    "transpose",
    "words_of",
    "write_midi",
    "write_musicxml",
]
