"""A plan is checked completely before anything runs; each mistake is one line that names it."""

from pathlib import Path
from typing import Any

import pytest
import yaml
from planned import Reproduction, plan_of

from pianogen.cli import main
from pianogen.config import PAPER_KINDS, TrainConfig, from_dict
from pianogen.reproduce import curves
from pianogen.reproduce.plan_file import read_plan


def put(plan: dict[str, Any], *names_and_value: Any) -> None:
    *names, last, value = names_and_value
    for name in names:
        plan = plan[name]
    plan[last] = value


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (("run", 1), "the plan has 'run', which is unknown; did you mean 'runs'?"),
        (("shards", "tiny", "splt", "random"), "shards 'tiny': unknown setting 'splt'; did you mean 'split'?"),
        (("shards", "tiny", "split", "half"), "shards 'tiny': "),
        (("shards", "a/b", {}), "shards has the name 'a/b'"),
        (
            ("runs", "rnn-0", "shards", "big"),
            "run 'rnn-0' needs shards 'big', which the plan does not have; there are tiny",
        ),
        (("runs", "rnn-0", {}), "run 'rnn-0' has no 'shards'"),
        (("runs", "rnn-0", "sed", 1), "run 'rnn-0' has 'sed', which is unknown"),
        (("runs", "rnn-0", "config", "no.yaml"), "run 'rnn-0': cannot read config 'no.yaml'"),
        (("runs", "rnn-0", "settings", {"sed": 1}), "run 'rnn-0': unknown setting 'sed'; did you mean 'seed'?"),
        (("runs", "rnn-0", "settings", {"out": "x"}), "run 'rnn-0': setting 'out' is not the plan's"),
        (("runs", "rnn-0", "settings", {"budget.steps": None}), "run 'rnn-0' needs budget.tokens or budget.steps"),
        (("runs", "../x", {"shards": "tiny"}), "runs has the name '../x'"),
        (("tables", "scores", "rows", {"RNN": ["rnn-9"]}), "table 'scores': row 'RNN' has run 'rnn-9'"),
        (("tables", "scores", "rows", {"RNN": "rnn-0"}), "it must be a list of runs"),
        (
            ("tables", "rules", "rows", {"LSTM": ["attn-1"]}),
            "which need the scores that run 'attn-1' leaves out by paper_code: false",
        ),
        (("tables", "scores", "rows", {}), "table 'scores' has no rows"),
        (("tables", "rules", "baselines", True), "which only the columns 'models' can show, but its are 'rules'"),
        (("runs", "rnn-0", "paper_code", 1), "run 'rnn-0' has paper_code 1, but it must be true or false"),
        (
            ("tables", "scores", "columns", "all"),
            "table 'scores' has columns 'all', but there are models, rules, switches, recipes, judged",
        ),
    ],
)
def test_a_mistake_in_a_plan_is_named(change: tuple[Any, ...], message: str, fresh: Reproduction, capsys: Any) -> None:
    fresh.write(lambda plan: put(plan, *change))
    assert main(fresh.words) == 2
    line = capsys.readouterr().err
    assert f"{fresh.file}: {message}" in line or message in line
    assert line.count("\n") == 1
    assert not fresh.out.exists()


def test_a_name_given_twice_is_refused(fresh: Reproduction, capsys: Any) -> None:
    fresh.file.write_text("shards: {a: {}, a: {}}\nruns: {}\n")
    assert main(fresh.words) == 2
    assert "'a' is given twice" in capsys.readouterr().err


def test_a_run_can_take_over_the_values_of_another(fresh: Reproduction) -> None:
    settings = "settings: {budget.steps: 3, model.kind: rnn}"
    fresh.file.write_text(f"shards: {{a: {{}}}}\nruns: {{b: &b {{shards: a, {settings}}}, c: {{<<: *b}}}}\n")
    runs = read_plan(fresh.file).runs
    assert runs["c"].entry == runs["b"].entry


@pytest.mark.parametrize("content", ["", "[]", "3", "{", "runs: 3", "shards: {a: {}}"])
def test_a_file_that_is_no_plan_is_refused(content: str, fresh: Reproduction, capsys: Any) -> None:
    fresh.file.write_text(content)
    assert main(fresh.words) == 2
    assert capsys.readouterr().err.count("\n") == 1


def test_a_missing_list_is_named_before_anything_runs(fresh: Reproduction, capsys: Any) -> None:
    fresh.write(lambda plan: plan["shards"]["tiny"].update(listed=True))
    assert main(fresh.words) == 2
    assert "hold the files of a list only; give --list FILE.csv" in capsys.readouterr().err
    assert not fresh.out.exists()


def test_a_runs_settings_win_over_those_of_all_runs_and_of_its_file(music: Path, tmp_path: Path) -> None:
    plan = plan_of(music)
    (tmp_path / "base.yaml").write_text("optim: {lr: 0.5, beta1: 0.5, beta2: 0.5}\n")
    plan["settings"]["optim"] = {"lr": 0.25, "beta1": 0.25}
    plan["runs"]["rnn-0"].update(config="base.yaml")
    plan["runs"]["rnn-0"]["settings"]["optim.lr"] = 0.125
    optim = read_plan(Reproduction(tmp_path, plan).file).runs["rnn-0"].train.optim
    assert (optim.lr, optim.beta1, optim.beta2) == (0.125, 0.25, 0.5)


def test_the_plan_of_the_repository_trains_each_model_equally_long() -> None:
    plan = read_plan(Path(__file__).parents[2] / "configs/reproduce.yaml")
    for table in plan.tables:
        if table.compared:
            runs = [plan.runs[name].train for names in table.rows.values() for name in names]
            assert len({(run.budget.tokens, run.global_batch, run.data.excerpt_tokens) for run in runs}) == 1
            assert {run.model.hidden_size for run in runs if run.model.kind in PAPER_KINDS} == {512}


def test_the_best_recipe_is_that_of_a_run_of_the_plan() -> None:
    configs = Path(__file__).parents[2] / "configs"
    run = read_plan(configs / "reproduce.yaml").runs["best-long"].train
    best = from_dict(TrainConfig, yaml.safe_load((configs / "best.yaml").read_text()))
    assert (best.model, best.data, best.optim) == (run.model, run.data, run.optim)
    assert (best.global_batch, best.budget) == (run.global_batch, run.budget)


def test_each_shard_set_of_the_plan_has_a_line_of_its_own_in_the_figure() -> None:
    plan = read_plan(Path(__file__).parents[2] / "configs/reproduce.yaml")
    assert len({run.shard_set for run in plan.runs.values()}) <= len(set(map(str, curves._LINES)))
