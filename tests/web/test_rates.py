"""Token buckets: never more requests than the rate permits, whatever their times."""

from hypothesis import given
from hypothesis import strategies as st

from pianogen.web import rates
from pianogen.web.rates import Buckets, Rate


@given(pauses=st.lists(st.floats(0, 5), min_size=1, max_size=60), burst=st.integers(1, 8))
def test_no_span_of_time_has_more_requests_than_the_burst_and_the_rate(pauses: list[float], burst: int) -> None:
    rate, now, taken = Rate(burst, per_second=1.5), 0.0, []
    buckets = Buckets(rate, lambda: now)
    for pause in pauses:
        now += pause
        if buckets.take("one") == 0:
            taken.append(now)
    for first, begin in enumerate(taken):
        for count, end in enumerate(taken[first:], start=1):
            assert count <= burst + (end - begin) * rate.per_second + 1e-6


def test_the_time_to_wait_is_enough() -> None:
    now = 0.0
    buckets = Buckets(Rate(1, per_second=0.25), lambda: now)
    assert buckets.take("one") == 0
    wait_s = buckets.take("one")
    now += wait_s
    assert buckets.take("one") == 0


def test_clients_do_not_share_a_bucket() -> None:
    buckets = Buckets(Rate(1, per_second=0.001), lambda: 0.0)
    assert buckets.take("one") == 0
    assert buckets.take("one") > 0
    assert buckets.take("other") == 0


def test_only_the_latest_clients_are_kept(monkeypatch) -> None:
    monkeypatch.setattr(rates, "_MAX_CLIENTS", 3)
    buckets = Buckets(Rate(1, per_second=0.001), lambda: 0.0)
    for client in "abcd":
        buckets.take(client)
    assert len(buckets._levels) == 3
    assert buckets.take("d") > 0
