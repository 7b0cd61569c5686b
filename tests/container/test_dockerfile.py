"""What can be known of the image without building it: what reaches the builder, and what the steps ask for."""

import json
import re
import subprocess
import tomllib
from pathlib import PurePath

import pytest
from dockerfile import ROOT, all_of, context, copied, instructions, reaches_builder
from packaging.specifiers import SpecifierSet

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
PYTHON_OF = {"ubuntu24.04": "3.12"}  # of the base images' package python3
INSTALLS = [told for told in all_of("RUN") if told.startswith("pip install")]


def _of_git(*folders: str) -> set[PurePath]:
    """The files that git knows, or would take."""
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard", *folders]
    listed = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    if listed.returncode != 0:
        pytest.skip("this is no git checkout")
    return {PurePath(name) for name in listed.stdout.split("\0") if name and (ROOT / name).exists()}


@pytest.mark.parametrize("told", all_of("COPY"))
def test_each_copied_source_reaches_the_builder(told: str) -> None:
    *sources, _ = told.split()
    assert [source for source in sources if not copied(f"{source} ./")] == []


def test_the_packages_and_what_a_job_reads_beside_them_are_copied_whole() -> None:
    wanted = _of_git("pianogen", "shards", "launch", "configs", "slurm")
    assert wanted - set().union(*map(copied, all_of("COPY"))) == set()


def test_nothing_that_git_ignores_reaches_the_builder() -> None:
    assert sorted(map(str, context() - _of_git()))[:9] == []


@pytest.mark.parametrize("path", [".git/config", ".venv/bin/python", ".env", "runs/a", "launch/__pycache__/rank.pyc"])
def test_what_only_this_machine_has_does_not_reach_the_builder(path: str) -> None:
    assert not reaches_builder(PurePath(path))


def test_a_changed_source_does_not_install_the_dependencies_again() -> None:
    steps = instructions()
    before = steps[: steps.index(("RUN", INSTALLS[0]))]
    files = set().union(*(copied(told) for word, told in before if word == "COPY"))
    assert files == {PurePath("pyproject.toml"), PurePath("constraints.txt")}


@pytest.mark.parametrize("told", INSTALLS)
def test_each_install_keeps_to_the_pins_or_adds_nothing(told: str) -> None:
    assert "-c constraints.txt" in told or "--no-deps" in told


def test_the_extras_that_are_installed_exist() -> None:
    extras = re.findall(r"\.\[(.*?)\]", " ".join(INSTALLS))
    assert extras
    assert set(extras) <= set(PROJECT["optional-dependencies"])


def test_the_image_s_python_is_one_that_the_project_runs_on() -> None:
    [base] = all_of("FROM")
    assert PYTHON_OF[base.rpartition("-")[2]] in SpecifierSet(PROJECT["requires-python"])


def test_the_program_is_started_without_a_shell() -> None:
    [entry] = all_of("ENTRYPOINT")
    [program] = json.loads(entry)
    assert program in PROJECT["scripts"]


def test_no_step_but_the_installation_is_root_s() -> None:
    words = [word for word, _ in instructions()]
    assert [word for word in words[words.index("USER") :] if word in ("RUN", "COPY")] == []
    assert all_of("USER") != ["root"]
