"""A checkout whose path has spaces, with the real batch scripts and launch/, and a stand-in for the library."""

import json
import shutil
import sys
from pathlib import Path
from typing import Any

from slurm_cluster import Cluster

ROOT = Path(__file__).parents[2]
Calls = dict[tuple[str, int], dict[str, Any]]

_SUBMIT = """
import sys
sys.path[:0] = [{launch_tests!r}, {root!r}]
from submitting import submit
submit(*sys.argv[1:])
"""


class Project:
    """Jobs that record how they were called; `elsewhere` is the folder that they are submitted from."""

    def __init__(self, folder: Path, cluster: Cluster) -> None:
        self.path, self.cluster = folder / "my project", cluster
        self.elsewhere = folder / "some where"
        self.elsewhere.mkdir()
        shutil.copytree(ROOT / "slurm", self.path / "slurm")
        (self.path / "pianogen/distributed").mkdir(parents=True)
        (self.path / "pianogen/__init__.py").touch()
        for name in ("progress.py", "distributed/__init__.py", "distributed/requeue.py"):  # these are the real ones
            shutil.copy(ROOT / "pianogen" / name, self.path / "pianogen" / name)
        shutil.copy(Path(__file__).with_name("stand_in.py"), self.path / "pianogen/__main__.py")
        (self.path / ".venv/bin").mkdir(parents=True)
        (self.path / ".venv/bin/activate").write_text(f'PATH="{Path(sys.executable).parent}:$PATH"\n')

    def sbatch(self, options: str, script: str, *arguments: str, part: str = "", **variables: str) -> str:
        """Submit a batch script; `part` is the behaviour of the stand-in."""
        words = [*options.split(), self.path / "slurm" / script, *arguments]
        return self.cluster.sbatch(*words, cwd=self.elsewhere, STAND_IN=part, **variables)

    def run(self, options: str, script: str, *arguments: str, part: str = "", **variables: str) -> str:
        """Submit a batch script and return how the job ended."""
        return self.cluster.wait(self.sbatch(options, script, *arguments, part=part, **variables))

    def submit(self, *words: str, part: str = "", **variables: str) -> str:
        """`pianogen submit WORDS`: the real one submits, the stand-in runs in the job."""
        code = _SUBMIT.format(launch_tests=str(ROOT / "tests/launch"), root=str(ROOT))
        variables = {"PYTHONPATH": str(self.path), "STAND_IN": part, **variables}
        return self.cluster.ask(sys.executable, "-c", code, *words, cwd=self.elsewhere, **variables)

    def calls(self, where: Path | None = None) -> Calls:
        """How the ranks were called, by (array task, rank), in the first attempt."""
        files = ((where or self.elsewhere) / "seen").glob("0-*.json")
        return {(f.stem.split("-")[1], int(f.stem.split("-")[2])): json.loads(f.read_text()) for f in files}

    def note(self, name: str) -> Any:
        """What the stand-in wrote into this note."""
        return json.loads((self.elsewhere / "seen" / f"{name}.json").read_text())

    def seen(self, name: str) -> bool:
        """Whether the stand-in has left this note."""
        return (self.elsewhere / "seen" / f"{name}.json").exists()

    def log(self) -> str:
        """The output of all jobs."""
        return "".join(path.read_text() for path in self.elsewhere.rglob("*[._]log*"))
