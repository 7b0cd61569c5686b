"""docs/results.md says what the result files beside it say."""

from pathlib import Path

from pianogen.reproduce.page import load_results, page_file, page_of
from pianogen.reproduce.plan_file import read_plan

_REPOSITORY = Path(__file__).parents[1]


def test_the_committed_page_is_the_one_that_the_committed_results_make() -> None:
    plan, folder = read_plan(_REPOSITORY / "configs/reproduce.yaml"), _REPOSITORY / "docs/results"
    assert page_file(folder).read_text() == page_of(plan, *load_results(plan, folder), folder)
