"""However a record of a sweep is damaged, a worker continues or names the file in one line."""

import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from searching import LEARNING_RATES, search, small, space_file
from tiny import tiny_config

from pianogen.config import SweepConfig, TrainConfig
from pianogen.errors import RunError
from pianogen.sweep.results import rows_of
from pianogen.sweep.space import Space, read_space
from pianogen.sweep.study import Study

MakeRun = Callable[..., TrainConfig]
VALUES: list[Any] = [None, [], "x", 99, ["x"], {"x": "y"}]
LINES = ["x", "[]", "7", "null", "{}", '"text"', "[" * 20_000]


@pytest.fixture
def config(tiny_run: MakeRun) -> TrainConfig:
    return small(tiny_run("sweep", steps=2))


def damages(lines: list[str]) -> Iterator[tuple[int, str]]:
    """Every record without each of its keys, with a wrong value for each, and as something else altogether."""
    for number, line in enumerate(lines):
        record = json.loads(line)
        for key in record:
            yield number, json.dumps({name: value for name, value in record.items() if name != key})
            for value in VALUES:
                yield number, json.dumps({**record, key: value})
        yield from ((number, text) for text in LINES)


def use(folder: Path, space: Space) -> None:
    """What a worker reads of a journal before it trains."""
    study = Study(folder, space, SweepConfig(trials=4), seed=0)
    rows_of(study.trials())
    if claimed := study.claim():
        claimed.lock.release()
        study.report(claimed, 1, 2.0)
    rows_of(study.trials())


def refusal(folder: Path, space: Space) -> str:
    """What a worker says of a journal, if it cannot use it."""
    try:
        use(folder, space)
    except RunError as error:
        return str(error)
    except Exception as error:
        return f"a traceback: {error!r}"
    return ""


def test_a_damaged_record_of_any_kind_is_one_line(config: TrainConfig) -> None:
    folder = search(config, LEARNING_RATES, trials=2)
    journal = folder / "journal.log"
    space = read_space(folder.parent / "space.yaml", config)
    study = Study(folder, space, SweepConfig(trials=3), seed=0)
    claimed = study.claim()  # a third one whose worker is killed, so that a trial is resumed
    assert claimed
    study.report(claimed, 1, 2.0)
    claimed.trial.set_user_attr("failures", (0, 1))
    claimed.lock.release()
    lines, refused = journal.read_text().splitlines(), 0
    for number, text in damages(lines):
        journal.write_text("\n".join([*lines[:number], text, *lines[number + 1 :]]) + "\n")
        message = refusal(folder, space)
        assert re.fullmatch(rf"({re.escape(str(journal))} is damaged \(.*)?", message), (lines[number], text[:200])
        refused += bool(message)
    assert refused > 100


@pytest.mark.parametrize("text", ["", "{", "[]", "null", "{}", '{"state": []}'])
def test_a_trial_with_a_damaged_status_counts_as_failed(config: TrainConfig, text: str) -> None:
    space = read_space(space_file(Path(config.out).parent, LEARNING_RATES), config)
    folder = Path(config.out)
    use(folder, space)  # leaves trial 0 running, without a worker
    (folder / "trials/0000/status.json").write_text(text)
    use(folder, space)
    assert '"failures"' in (folder / "journal.log").read_text()


@pytest.fixture(scope="module")
def searched(tiny_shards: Path, tmp_path_factory: pytest.TempPathFactory) -> TrainConfig:
    """The settings of a sweep of one trial, whose records a test may damage that needs no other."""
    config = small(tiny_config(tiny_shards, tmp_path_factory.mktemp("searched") / "sweep", steps=2))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PIANOGEN_TRACK", "off")
        search(config, LEARNING_RATES, trials=1)
    return config


@pytest.mark.parametrize("text", ["", "[", "7", "- a", "\x00"])
def test_a_damaged_record_of_the_settings_is_named(searched: TrainConfig, text: str) -> None:
    (Path(searched.out) / "sweep.yaml").write_text(text)
    with pytest.raises(RunError, match=r"sweep\.yaml is damaged \("):
        search(searched, LEARNING_RATES, trials=1)
