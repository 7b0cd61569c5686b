"""The Python interface given the URL of a run: the checkpoint asked for is the one used, or it is refused."""

from pathlib import Path

import pytest

import pianogen
from pianogen.errors import RunError


@pytest.fixture
def uploaded(bucket, make_run) -> tuple[Path, str]:
    """A run folder, and the URL of its copy."""
    run = make_run()
    return run, bucket.upload(run, "runs/attn")


def same_weights(one, other) -> bool:
    """Whether two models are equal."""
    return all(a.equal(b) for a, b in zip(one.state_dict().values(), other.state_dict().values(), strict=True))


@pytest.mark.parametrize("checkpoint", ["best", "last", "2"])
def test_a_url_gives_the_checkpoint_asked_for(uploaded, checkpoint: str):
    run, url = uploaded
    local = pianogen.load_model(run, checkpoint)
    assert same_weights(pianogen.load_model(url, checkpoint), local)
    assert same_weights(pianogen.load_model(pianogen.open_run(url, checkpoint), checkpoint), local)


def test_pieces_of_a_url_are_those_of_the_checkpoint_asked_for(uploaded):
    run, url = uploaded
    from_url, local = (pianogen.generate(each, checkpoint="last", bars=2, device="cpu") for each in (url, run))
    assert from_url[0].tolist() == local[0].tolist()


def test_a_run_fetched_with_one_checkpoint_refuses_another(uploaded):
    opened = pianogen.open_run(uploaded[1])
    for use in (pianogen.load_model, pianogen.generate, pianogen.evaluate):
        with pytest.raises(
            RunError, match=r"was fetched with checkpoint 'best' only; for 'last', call open_run\(URL, "
        ):
            use(opened, checkpoint="last")
