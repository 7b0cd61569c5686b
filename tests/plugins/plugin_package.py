"""A package as an installer leaves it: modules and a .dist-info folder."""

from pathlib import Path

from pianogen.plugins import GROUP


def write_package(folder: Path, name: str, modules: dict[str, str], entry_point: str) -> None:
    """Write the package `name` with its modules; `entry_point` is like "package.module:function"."""
    (folder / name).mkdir(parents=True)
    for file, text in {"__init__.py": "", **modules}.items():
        (folder / name / file).write_text(text)
    info = folder / f"{name}-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(f"[{GROUP}]\n{name} = {entry_point}\n")
