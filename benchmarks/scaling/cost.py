"""The time of a training step on any number of ranks: arithmetic over given figures.

    step = rank_s + rows * row_s + exposed part of the exchange + small sums + the share of validation

`rank_s` does not depend on the number of rows: a recurrent model reads its positions sequentially, and launches the
same kernels for one row as for a thousand. It is added to the time of the rows, which overstates a step by at most a
factor of two where a device computes while its host launches.
"""

from dataclasses import dataclass
from math import ceil, log2

SMALL_SUMS = 2  # a step: targets and requests to stop before it, loss and accuracy after it
SMALL_SUM_BYTES = 24  # three numbers in float64
BACKWARD_SHARE = 2 / 3  # of a step's arithmetic: each product of the forward pass has two in the backward pass


@dataclass(frozen=True)
class Link:
    """The connection between the members of a collective, from the view of one of them."""

    bytes_per_s: float
    """Sent by one member while it receives as many."""
    latency_s: float
    """Of one hop."""


@dataclass(frozen=True)
class Cluster:
    """Nodes of several ranks."""

    ranks_per_node: int
    inside: Link
    """Between the ranks of a node."""
    between: Link
    """Between nodes; the bandwidth is that of a whole node."""

    def all_reduce_s(self, num_bytes: float, ranks: int) -> float:
        """Seconds to reduce a buffer over ranks: within each node, and then between the nodes."""
        nodes = ceil(ranks / self.ranks_per_node)
        inside = all_reduce_s(num_bytes, min(ranks, self.ranks_per_node), self.inside)
        return inside + all_reduce_s(num_bytes, nodes, self.between)


@dataclass(frozen=True)
class Work:
    """The work of a step on one rank."""

    rank_s: float
    """Time of every rank at every step, independent of its rows."""
    row_s: float
    """Arithmetic of one row, forward and backward."""
    gradient_bytes: float
    early_share: float
    """Share of the gradient that is complete before back-propagation through time, and exchanged during it."""
    validation_s: float = 0.0
    """One validation, which more ranks do not shorten."""
    validation_every_steps: int = 1


@dataclass(frozen=True)
class Step:
    """Seconds of one step, by activity."""

    compute_s: float
    exchange_s: float
    """All-reduce of the gradients, hidden part included."""
    exposed_s: float
    """The part that is not overlapped."""
    sums_s: float
    """Small all-reduces; the step waits for all of them."""
    validation_s: float
    """The share of validation."""

    @property
    def total_s(self) -> float:
        """Duration of the step."""
        return self.compute_s + self.exposed_s + self.sums_s + self.validation_s

    @property
    def exposed_share(self) -> float:
        """Share of the step spent waiting for other ranks."""
        return (self.exposed_s + self.sums_s) / self.total_s


def all_reduce_s(num_bytes: float, members: int, link: Link) -> float:
    """Seconds to reduce a buffer over members, by a ring or a pair of trees, whichever is faster.

    A ring sends an n-th of the buffer in each of 2 (n - 1) hops; trees send all of it up and down in a pipeline
    of 2 log2(n) hops.

    Reference: Patarasuk & Yuan (2009), Bandwidth Optimal All-reduce Algorithms; Sanders, Speck & Träff (2009), Two-tree
    Algorithms for Full Bandwidth Broadcast, Reduction and Scan.
    """
    ring = 2 * (members - 1) * (num_bytes / members / link.bytes_per_s + link.latency_s)
    trees = 2 * num_bytes / link.bytes_per_s + 2 * ceil(log2(members)) * link.latency_s
    return min(ring, trees)


def cost_of_step(work: Work, cluster: Cluster, ranks: int, rows: int) -> Step:
    """The cost of a step in which each rank reads `rows` rows."""
    compute_s = work.rank_s + rows * work.row_s
    exchange_s = cluster.all_reduce_s(work.gradient_bytes, ranks)
    hidden_s = min(work.early_share * exchange_s, BACKWARD_SHARE * compute_s)
    sums_s = SMALL_SUMS * cluster.all_reduce_s(SMALL_SUM_BYTES, ranks)
    return Step(compute_s, exchange_s, exchange_s - hidden_s, sums_s, work.validation_s / work.validation_every_steps)
