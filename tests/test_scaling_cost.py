"""Laws of the cost model, the formulae by hand, and the figures in it that say what a real training step does."""

from collections.abc import Callable

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.scaling_cost import (
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
ranks_of = st.integers(1, 5000)
rows_of = st.integers(1, 1000)


def test_a_ring_of_two_sends_half_the_buffer_twice() -> None:
    assert all_reduce_s(100.0, 2, Link(10.0, 1.0)) == pytest.approx(2 * (50 / 10 + 1))


def test_a_small_buffer_goes_over_trees_where_a_ring_has_many_hops() -> None:
    assert all_reduce_s(24.0, 1024, Link(1e9, 1e-5)) == pytest.approx(2 * 24 / 1e9 + 2 * 10 * 1e-5)


@given(st.floats(0, 1e9), st.integers(2, 5000), links)
def test_no_all_reduce_beats_the_bytes_that_each_member_must_send(num_bytes: float, members: int, link: Link) -> None:
    fewest = 2 * (members - 1) / members * num_bytes
    assert all_reduce_s(num_bytes, members, link) >= fewest / link.bytes_per_s * (1 - 1e-9)


@given(st.floats(0, 1e9), ranks_of, links, st.floats(1, 100))
def test_a_better_link_is_never_slower(num_bytes: float, members: int, link: Link, factor: float) -> None:
    better = Link(link.bytes_per_s * factor, link.latency_s / factor)
    assert all_reduce_s(num_bytes, members, better) <= all_reduce_s(num_bytes, members, link)


@given(st.floats(0, 1e9), st.integers(1, 16), links)
def test_ranks_of_one_node_do_not_use_the_network(num_bytes: float, ranks: int, inside: Link) -> None:
    cluster = Cluster(16, inside, Link(1e-9, 1e9))
    assert cluster.all_reduce_s(num_bytes, ranks) == all_reduce_s(num_bytes, ranks, inside)


def test_nodes_exchange_what_each_has_summed_inside() -> None:
    inside, between = Link(100.0, 0.0), Link(10.0, 0.0)
    assert Cluster(4, inside, between).all_reduce_s(200.0, 8) == pytest.approx(2 * 3 / 4 * 200 / 100 + 200 / 10)


@given(works, clusters, rows_of)
def test_one_rank_waits_for_nobody(work: Work, cluster: Cluster, rows: int) -> None:
    step = cost_of_step(work, cluster, 1, rows)
    assert step.exposed_share == 0
    assert step.total_s == pytest.approx(
        work.rank_s + rows * work.row_s + work.validation_s / work.validation_every_steps
    )


@given(works, clusters, ranks_of, rows_of)
def test_ranks_with_as_many_rows_are_never_faster_than_one(work: Work, cluster: Cluster, ranks: int, rows: int) -> None:
    assert cost_of_step(work, cluster, ranks, rows).total_s >= cost_of_step(work, cluster, 1, rows).total_s


@given(works, clusters, ranks_of)
def test_no_number_of_ranks_gets_below_what_a_rank_pays_without_rows(work: Work, cluster: Cluster, ranks: int) -> None:
    floor_s = work.rank_s + work.validation_s / work.validation_every_steps
    assert cost_of_step(work, cluster, ranks, 1).total_s > floor_s * (1 - 1e-9)


@given(works, clusters, ranks_of, rows_of)
def test_only_the_early_part_of_the_exchange_can_hide(work: Work, cluster: Cluster, ranks: int, rows: int) -> None:
    step = cost_of_step(work, cluster, ranks, rows)
    assert (1 - work.early_share) * step.exchange_s <= step.exposed_s * (1 + 1e-9) + 1e-300
    assert step.exposed_s <= step.exchange_s


def test_an_exchange_longer_than_the_backward_pass_cannot_hide_behind_it() -> None:
    link = Link(1.0, 0.0)
    step = cost_of_step(
        Work(rank_s=3.0, row_s=0.0, gradient_bytes=100.0, early_share=1.0), Cluster(2, link, link), 2, 1
    )
    assert step.exposed_s == pytest.approx(100 - 2)


def test_a_training_step_makes_as_many_small_sums_as_the_model_counts(
    tiny_run: Callable[..., TrainConfig], monkeypatch: pytest.MonkeyPatch
) -> None:
    sizes: list[int] = []

    def noted(values: torch.Tensor) -> torch.Tensor:
        sizes.append(values.nbytes)
        return sum_over_ranks(values)

    monkeypatch.setattr(loop, "sum_over_ranks", noted)
    monkeypatch.setattr(trainer, "sum_over_ranks", noted)
    counts = []
    for steps in (2, 3):
        sizes.clear()
        train(tiny_run(f"{steps}-steps", steps=steps))
        counts.append(len(sizes))
    assert counts[1] - counts[0] == SMALL_SUMS
    assert max(sizes) == SMALL_SUM_BYTES
