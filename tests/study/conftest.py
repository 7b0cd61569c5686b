"""A study that several files of tests read and serve."""

import pytest
from small_study import make_study

from pianogen.study.folder import StudyFolder


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> StudyFolder:
    """A study, which tests only read."""
    return make_study(tmp_path_factory.mktemp("study") / "s")


@pytest.fixture
def folder(made: StudyFolder) -> StudyFolder:
    """The same study without answers."""
    for file in made.path.glob("answers.sqlite*"):
        file.unlink()
    return made
