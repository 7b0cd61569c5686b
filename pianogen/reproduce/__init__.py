"""The runs behind a page of results: a plan, one result file a run, and a page made from those files alone."""

from pathlib import Path

from pianogen.config import ReproduceConfig


def reproduce(out: Path, config: ReproduceConfig) -> bool:
    """Carry out a plan; see `pianogen.reproduce.job.reproduce`."""
    from pianogen.reproduce.job import reproduce as run

    return run(out, config)
