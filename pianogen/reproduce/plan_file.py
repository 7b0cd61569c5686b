"""The file of a plan, in YAML: shards, runs in the order in which they are trained, and the tables that they form.

shards:
  official: {split: official}                  see ShardSetConfig
settings:                                      of every run; they win over its file
  data: {excerpt_tokens: 64}
runs:
  attn-0: {config: attn.yaml, shards: official, settings: {seed: 0}}    `config` is beside the plan
tables:
  models: {title: ..., rows: {LSTM + attention: [attn-0]}, compared: true}
pieces: {num: 32}                              of tables of the columns `judged`, see JudgedPiecesConfig
"""

import difflib
import re
from collections.abc import Hashable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar, get_args

import yaml

from pianogen.config import JudgedPiecesConfig, ShardSetConfig, TrainConfig, flatten, to_dict
from pianogen.errors import SettingError
from pianogen.reproduce.plan import COMMAND_ONLY, Columns, Plan, PlannedRun, Table
from pianogen.storage import is_url
from pianogen.sweep.naming import with_settings

_Settings = TypeVar("_Settings")
_OF_PAPER_CODE = ("rules", "switches")  # columns that need the scores of cut excerpts
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]*")  # of a run or shards: also the name of a folder or file


def read_plan(path: Path) -> Plan:
    """Read a plan and check all of it.

    Raises:
        SettingError: The file cannot be read, or has a name or value that is not allowed; the message says where.
    """
    try:
        content = yaml.load(path.read_text(), _Loader)
    except (OSError, UnicodeDecodeError, yaml.YAMLError, RecursionError) as error:
        raise SettingError(f"cannot read {path}: {' '.join(str(error).split())}") from error
    try:
        return _plan_of(content, path.parent)
    except SettingError as error:
        raise SettingError(f"{path}: {error}") from error


_MERGE = "tag:yaml.org,2002:merge"  # `<<: *other` takes over the values of another mapping


class _Loader(yaml.SafeLoader):
    """Refuses a name that is given twice, of which YAML's loader takes the last."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        names = [self.construct_object(key, deep=True) for key, _ in node.value if key.tag != _MERGE]
        for name in names:
            if names.count(name) > 1:
                raise yaml.constructor.ConstructorError(None, None, f"{name!r} is given twice", node.start_mark)
        return super().construct_mapping(node, deep)


def _plan_of(content: Any, folder: Path) -> Plan:
    content = _named("the plan", content, ("title", "text", "shards", "settings", "runs", "tables", "pieces"))
    shards = {name: _shards(name, values) for name, values in _entries("shards", content.get("shards")).items()}
    common = flatten(_mapping("settings", content.get("settings", {})))
    runs = {
        name: _run(name, values, shards, common, folder)
        for name, values in _entries("runs", content.get("runs")).items()
    }
    tables = _mapping("tables", content.get("tables", {}))
    return Plan(
        runs=runs,
        tables=tuple(_table(name, values, runs) for name, values in tables.items()),
        title=str(content.get("title", "Reproduction")),
        text=str(content.get("text", "")).strip(),
        pieces=_given("pieces", JudgedPiecesConfig(), content.get("pieces", {})),
    )


def _shards(name: str, values: Any) -> ShardSetConfig:
    return _given(f"shards {name!r}", ShardSetConfig(), values)


def _given(where: str, defaults: _Settings, values: Any) -> _Settings:
    """Settings with some values given."""
    try:
        return with_settings(defaults, flatten(_mapping(where, values)))
    except SettingError as error:
        raise SettingError(f"{where}: {error}") from error


def _run(
    name: str, values: Any, shards: Mapping[str, ShardSetConfig], common: dict[str, Any], folder: Path
) -> PlannedRun:
    where = f"run {name!r}"
    values = _named(where, values, ("config", "shards", "settings", "paper_code"), needed=("shards",))
    if values["shards"] not in shards:
        raise SettingError(f"{where} needs shards {values['shards']!r}, which the plan does not have; {_known(shards)}")
    given = common | flatten(_mapping(f"{where}: settings", values.get("settings", {})))
    for setting in COMMAND_ONLY:
        if setting in given:
            raise SettingError(f"{where}: setting '{setting}' is not the plan's; --out of the command says where")
    try:
        train = with_settings(TrainConfig(), _config(values.get("config"), folder) | given)
    except SettingError as error:
        raise SettingError(f"{where}: {error}") from error
    if is_url(train.init or ""):
        raise SettingError(f"{where}: setting 'init' is {train.init!r}, but a URL must be on a command line; fetch it")
    if not any(to_dict(train.budget).values()) or train.budget.seconds is not None:
        raise SettingError(
            f"{where} needs budget.tokens or budget.steps, and no budget.seconds: results must be repeatable"
        )
    return PlannedRun(
        name, values["shards"], shards[values["shards"]], train, _boolean(where, "paper_code", values, default=True)
    )


def _config(file: str | None, folder: Path) -> dict[str, Any]:
    """The settings in a file beside the plan."""
    if file is None:
        return {}
    try:
        content = yaml.safe_load((folder / file).read_text())
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise SettingError(f"cannot read config {file!r}: {' '.join(str(error).split())}") from error
    return flatten(_mapping(f"config {file!r}", content))


def _table(name: str, values: Any, runs: Mapping[str, PlannedRun]) -> Table:
    where = f"table {name!r}"
    known = ("title", "rows", "columns", "compared", "baselines", "text")
    values = _named(where, values, known, needed=("title", "rows"))
    rows = _rows(where, values["rows"], runs)
    table = Table(
        name,
        str(values["title"]),
        rows,
        _columns(where, values.get("columns", "models")),
        _boolean(where, "compared", values, default=False),
        _boolean(where, "baselines", values, default=False),
        str(values.get("text", "")).strip(),
    )
    _check_columns(where, table, [runs[name] for name in table.names])
    return table


def _rows(where: str, values: Any, runs: Mapping[str, PlannedRun]) -> dict[str, tuple[str, ...]]:
    rows = _mapping(f"{where}: rows", values)
    if not rows:
        raise SettingError(f"{where} has no rows")
    for label, members in rows.items():
        if not isinstance(members, list) or not members:
            raise SettingError(f"{where}: row {label!r} is {members!r}, but it must be a list of runs")
        for member in members:
            if member not in runs:
                raise SettingError(
                    f"{where}: row {label!r} has run {member!r}, which the plan does not have; {_known(runs)}"
                )
    return {label: tuple(members) for label, members in rows.items()}


def _columns(where: str, value: Any) -> Columns:
    if value not in get_args(Columns):
        raise SettingError(f"{where} has columns {value!r}, but there are {', '.join(get_args(Columns))}")
    return value


def _check_columns(where: str, table: Table, runs: Sequence[PlannedRun]) -> None:
    """Refuse columns and comparisons that the runs cannot fill."""
    unscored = [run.name for run in runs if not run.paper_code]
    if table.columns in _OF_PAPER_CODE and unscored:
        raise SettingError(
            f"{where} has columns {table.columns!r}, which need the scores that run {unscored[0]!r} leaves out by "
            "paper_code: false"
        )
    if table.compared and len({run.shard_set for run in runs}) > 1:
        raise SettingError(
            f"{where} is compared, but its runs have different shards, and so other performances to score"
        )
    if table.baselines and table.columns != "models":
        raise SettingError(
            f"{where} has baselines, which only the columns 'models' can show, but its are {table.columns!r}"
        )


def _named(where: str, values: Any, known: Iterable[str], needed: Iterable[str] = ()) -> dict[str, Any]:
    """A mapping with these names and no others."""
    values, known = _mapping(where, values), list(known)
    for name in values:
        if name not in known:
            nearest = difflib.get_close_matches(name, known, n=1)
            hint = f"did you mean {nearest[0]!r}?" if nearest else f"there are {', '.join(known)}"
            raise SettingError(f"{where} has {name!r}, which is unknown; {hint}")
    for name in needed:
        if name not in values:
            raise SettingError(f"{where} has no {name!r}, which it needs")
    return values


def _boolean(where: str, name: str, values: Mapping[str, Any], *, default: bool) -> bool:
    value = values.get(name, default)
    if not isinstance(value, bool):
        raise SettingError(f"{where} has {name} {value!r}, but it must be true or false")
    return value


def _mapping(where: str, values: Any) -> dict[str, Any]:
    if not isinstance(values, dict) or not all(isinstance(name, str) for name in values):
        raise SettingError(f"{where} is {values!r:.100}, but it must be names with values")
    return values


def _entries(where: str, values: Any) -> dict[str, Any]:
    """A mapping whose names can be those of folders."""
    for name in _mapping(where, values):
        if not _NAME.fullmatch(name):
            raise SettingError(f"{where} has the name {name!r}, but it must be made of letters, digits, - and _")
    return values


def _known(names: Iterable[str]) -> str:
    return f"there are {', '.join(names) or 'none'}"
