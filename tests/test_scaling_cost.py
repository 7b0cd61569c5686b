"""The cost model: properties, formulae against hand calculations, and its counts against a real training step."""

from collections.abc import Callable

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.scaling.cost import (
    SMALL_SUM_BYTES,
    SMALL_SUMS,
    Cluster,
    Link,
    Work,
    all_reduce_s,
    cost_of_step,
)
from pianogen.config import TrainConfig
from pianogen.distributed.process_group import sum_over_ranks
from pianogen.train import loop, train, trainer

links = st.builds(Link, bytes_per_s=st.floats(1e6, 1e12), latency_s=st.floats(0, 1e-2))
clusters = st.builds(Cluster, st.integers(1, 16), links, links)
works = st.builds(
    Work,
    rank_s=st.floats(1e-6, 10),
    row_s=st.floats(1e-9, 1),
    gradient_bytes=st.floats(0, 1e9),
    early_share=st.floats(0, 1),
    validation_s=st.floats(0, 100),
    validation_every_steps=st.integers(1, 1000),
)
buffer_bytes = st.integers(0, 10**9).map(float)  # subnormal sizes would round
ranks_of = st.integers(1, 5000)
rows_of = st.integers(1, 1000)


def test_a_ring_of_two_sends_half_the_buffer_twice() -> None:
    assert all_reduce_s(100.0, 2, Link(10.0, 1.0)) == pytest.approx(2 * (50 / 10 + 1))


def test_a_small_buffer_is_reduced_over_a_tree_when_a_ring_has_many_hops() -> None:
    assert all_reduce_s(24.0, 1024, Link(1e9, 1e-5)) == pytest.approx(2 * 24 / 1e9 + 2 * 10 * 1e-5)


@given(buffer_bytes, st.integers(2, 5000), links)
def test_an_all_reduce_takes_at_least_the_time_to_send_the_minimum_bytes(
    num_bytes: float, members: int, link: Link
) -> None:
    fewest = 2 * (members - 1) / members * num_bytes
    assert all_reduce_s(num_bytes, members, link) >= fewest / link.bytes_per_s * (1 - 1e-9)


@given(buffer_bytes, ranks_of, links, st.floats(1, 100))
def test_a_better_link_is_never_slower(num_bytes: float, members: int, link: Link, factor: float) -> None:
    better = Link(link.bytes_per_s * factor, link.latency_s / factor)
    assert all_reduce_s(num_bytes, members, better) <= all_reduce_s(num_bytes, members, link)


@given(buffer_bytes, st.integers(1, 16), links)
def test_ranks_of_one_node_do_not_use_the_network(num_bytes: float, ranks: int, inside: Link) -> None:
    cluster = Cluster(16, inside, Link(1e-9, 1e9))
    assert cluster.all_reduce_s(num_bytes, ranks) == all_reduce_s(num_bytes, ranks, inside)


def test_nodes_exchange_their_local_sums() -> None:
    inside, between = Link(100.0, 0.0), Link(10.0, 0.0)
    assert Cluster(4, inside, between).all_reduce_s(200.0, 8) == pytest.approx(2 * 3 / 4 * 200 / 100 + 200 / 10)


@given(works, clusters, rows_of)
def test_a_single_rank_has_no_communication(work: Work, cluster: Cluster, rows: int) -> None:
    step = cost_of_step(work, cluster, 1, rows)
    assert step.exposed_share == 0
    assert step.total_s == pytest.approx(
        work.rank_s + rows * work.row_s + work.validation_s / work.validation_every_steps
    )


@given(works, clusters, ranks_of, rows_of)
def test_several_ranks_are_never_faster_than_one_with_equal_rows_per_rank(
    work: Work, cluster: Cluster, ranks: int, rows: int
) -> None:
    assert cost_of_step(work, cluster, ranks, rows).total_s >= cost_of_step(work, cluster, 1, rows).total_s


@given(works, clusters, ranks_of)
def test_a_step_never_takes_less_than_the_fixed_cost_of_a_rank(work: Work, cluster: Cluster, ranks: int) -> None:
    floor_s = work.rank_s + work.validation_s / work.validation_every_steps
    assert cost_of_step(work, cluster, ranks, 1).total_s > floor_s * (1 - 1e-9)


@given(works, clusters, ranks_of, rows_of)
def test_only_the_early_share_of_the_exchange_overlaps_the_backward_pass(
    work: Work, cluster: Cluster, ranks: int, rows: int
) -> None:
    step = cost_of_step(work, cluster, ranks, rows)
    assert (1 - work.early_share) * step.exchange_s <= step.exposed_s * (1 + 1e-9) + 1e-300
    assert step.exposed_s <= step.exchange_s


def test_an_exchange_longer_than_the_backward_pass_is_not_fully_hidden() -> None:
    link = Link(1.0, 0.0)
    step = cost_of_step(
        Work(rank_s=3.0, row_s=0.0, gradient_bytes=100.0, early_share=1.0), Cluster(2, link, link), 2, 1
    )
    assert step.exposed_s == pytest.approx(100 - 2)


def test_a_training_step_makes_as_many_small_all_reduces_as_the_cost_model_counts(
    tiny_run: Callable[..., TrainConfig], monkeypatch: pytest.MonkeyPatch
) -> None:
    sizes: list[int] = []

    def recorded(values: torch.Tensor) -> torch.Tensor:
        sizes.append(values.nbytes)
        return sum_over_ranks(values)

    monkeypatch.setattr(loop, "sum_over_ranks", recorded)
    monkeypatch.setattr(trainer, "sum_over_ranks", recorded)
    counts = []
    for steps in (2, 3):
        sizes.clear()
        train(tiny_run(f"{steps}-steps", steps=steps))
        counts.append(len(sizes))
    assert counts[1] - counts[0] == SMALL_SUMS
    assert max(sizes) == SMALL_SUM_BYTES
