"""The plan: a YAML file of shards, runs in the order in which they are trained, and the tables that they form.

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
from collections.abc import Hashable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, TypeVar, get_args

import yaml

from pianogen.config import JudgedPiecesConfig, ShardSetConfig, TrainConfig, flatten, to_dict
from pianogen.errors import SettingError
from pianogen.storage import is_url
from pianogen.sweep.naming import with_settings

_Settings = TypeVar("_Settings")
Columns = Literal["models", "rules", "switches", "recipes", "judged"]
_OF_PAPER_CODE = ("rules", "switches")  # columns that need the scores of cut excerpts
_COMMAND_ONLY = ("shards", "out", "resume")
# settings on which neither weights nor scores depend, or that name no value but a place
_NOT_COMPARED = {*_COMMAND_ONLY, "micro_batch", "deepspeed", "ops", "rank_timeout_s", "checkpoint"}
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]*")  # of a run or shards: also the name of a folder or file


@dataclass(frozen=True)
class PlannedRun:
    """One run of a plan."""

    name: str
    shard_set: str
    shards: ShardSetConfig
    train: TrainConfig
    """Its settings, but for the folders."""
    paper_code: bool = True
    """Whether it is also scored as the paper's code does it, on cut excerpts, which takes as long again."""

    @property
    def entry(self) -> dict[str, Any]:
        """What its result depends on, as plain nested values: shards and settings."""
        settings = {name: value for name, value in to_dict(self.train).items() if name not in _NOT_COMPARED}
        return {"shards": to_dict(self.shards), "settings": settings}


@dataclass(frozen=True)
class Table:
    """One table of the page: each row is the mean of some runs, which differ in their seeds."""

    name: str
    title: str
    rows: dict[str, tuple[str, ...]]
    """Names of runs, by label."""
    columns: Columns = "models"
    compared: bool = False
    """Whether each row is tested against the one before, by a bootstrap over the performances."""
    baselines: bool = False
    """Whether the baselines follow, on the shards of the first run."""
    text: str = ""
    """Paragraphs below the table."""

    @property
    def names(self) -> list[str]:
        """Its runs, each once."""
        return list(dict.fromkeys(name for names in self.rows.values() for name in names))

    @property
    def first_run(self) -> str:
        """The name of the first run of the first row."""
        return self.names[0]


@dataclass(frozen=True)
class Plan:
    """The content of a plan file."""

    runs: dict[str, PlannedRun]
    tables: tuple[Table, ...]
    title: str
    """Of the page."""
    text: str
    """Paragraphs below the title."""
    pieces: JudgedPiecesConfig = field(default_factory=JudgedPiecesConfig)
    """Of the runs in tables of the columns `judged`."""


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


def difference(now: Mapping[str, Any], then: Mapping[str, Any]) -> tuple[str, Any, Any] | None:
    """The first setting in which two entries differ, and both values; None if they agree.

    A setting that one of them lacks, since a version had no such setting, has its default there.
    """
    first, second = (_defaults() | flatten(dict(entry)) for entry in (now, then))
    differing = (name for name in first | second if first.get(name) != second.get(name))
    return next(((name, first.get(name), second.get(name)) for name in differing), None)


def _defaults() -> dict[str, Any]:
    return flatten(
        {
            "shards": to_dict(ShardSetConfig()),
            "settings": PlannedRun("", "", ShardSetConfig(), TrainConfig()).entry["settings"],
        }
    )


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
    for setting in _COMMAND_ONLY:
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
    values = _named(
        where, values, ("title", "rows", "columns", "compared", "baselines", "text"), needed=("title", "rows")
    )
    rows = _mapping(f"{where}: rows", values["rows"])
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
    columns, compared = values.get("columns", "models"), _boolean(where, "compared", values, default=False)
    if columns not in get_args(Columns):
        raise SettingError(f"{where} has columns {columns!r}, but there are {', '.join(get_args(Columns))}")
    members = {label: tuple(names) for label, names in rows.items()}
    unscored = [name for names in members.values() for name in names if not runs[name].paper_code]
    if columns in _OF_PAPER_CODE and unscored:
        raise SettingError(
            f"{where} has columns {columns!r}, which need the scores that run {unscored[0]!r} leaves out by "
            "paper_code: false"
        )
    if compared and len({runs[name].shard_set for names in members.values() for name in names}) > 1:
        raise SettingError(
            f"{where} is compared, but its runs have different shards, and so other performances to score"
        )
    baselines = _boolean(where, "baselines", values, default=False)
    if baselines and columns != "models":
        raise SettingError(f"{where} has baselines, which only the columns 'models' can show, but its are {columns!r}")
    return Table(name, str(values["title"]), members, columns, compared, baselines, str(values.get("text", "")).strip())


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
