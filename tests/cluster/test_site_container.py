"""slurm/site.sh may have the ranks start in a container; `env` and `--export` stand in for apptainer and for pyxis."""

import pytest
from project import Project

pytestmark = pytest.mark.cluster


@pytest.mark.parametrize("words", ["env FROM_SITE=inside", "--export=ALL,FROM_SITE=inside"])
def test_every_rank_starts_in_the_container_that_the_site_names(project: Project, words: str) -> None:
    with (project.path / "slurm/site.sh").open("a") as site:
        site.write(f"container=({words})\n")
    assert project.run("--nodes=2 --cpus-per-task=1", "train_attn.sh") == "COMPLETED"
    calls = project.calls().values()
    assert [(c["RANK"], c["FROM_SITE"]) for c in calls if c["RANK"] == "1"] == [("1", "inside")]
    assert {c["FROM_SITE"] for c in calls} == {"inside"}


def test_the_container_has_the_file_names_of_the_site(project: Project) -> None:
    with (project.path / "slurm/site.sh").open("a") as site:
        site.write('container=(env "FROM_SITE=$project/my image.sif")\n')
    project.run("--cpus-per-task=1", "train_rnn.sh")
    assert project.calls()["0", 0]["FROM_SITE"] == f"{project.path}/my image.sif"
