"""A job writes every piece once, whole, with its sidecar, and a second run makes only what is missing."""

import errno
import json
from collections.abc import Callable
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

import numpy as np
import pytest
import torch

from pianogen.config import GenerateConfig, ModelConfig, TokenizerConfig, TrainConfig, to_dict
from pianogen.errors import RunError, SettingError, SourceError
from pianogen.files import write_atomic
from pianogen.generation import Prompt, Request, SampledPiece, generate, job, piece_folder
from pianogen.generation.piece_folder import PieceFolder, request_of
from pianogen.models import PianoModel, build_model
from pianogen.runs import CheckpointInfo, create_run
from pianogen.runs.checkpoint import write_checkpoint
from pianogen.tokens import Notes, ids_of, read_midi, tokenize, words_of, write_midi

CONFIG = GenerateConfig(num=3, tokens=40)
WORDS = ["xxbos", "xxpad", "n60", "d4", "xxeos"]


def small_model() -> PianoModel:
    torch.manual_seed(0)
    return build_model(ModelConfig(hidden_size=8))


@dataclass
class SmallRun:
    """Stands for a run folder with one checkpoint."""

    path: Path
    model: PianoModel = field(default_factory=small_model)
    sha256: str = "0" * 64
    config: TrainConfig = field(default_factory=TrainConfig)
    tokenizer: TokenizerConfig = field(default_factory=TokenizerConfig)

    def load_model(self, checkpoint: str = "best") -> tuple[PianoModel, CheckpointInfo]:
        return self.model, CheckpointInfo(200, self.sha256, self.path / "checkpoints" / checkpoint)


@pytest.fixture
def run(tmp_path: Path) -> SmallRun:
    return SmallRun(tmp_path / "runs" / "small")


@pytest.fixture
def out(tmp_path: Path) -> Path:
    return tmp_path / "pieces of music"


@pytest.fixture
def prompt(tmp_path: Path) -> Path:
    notes = Notes(np.array([0, 4, 8]), np.array([4, 4, 4]), np.array([60, 64, 67]))
    write_midi(notes, tmp_path / "prompt.mid", quarters_per_minute=60.0)
    return tmp_path / "prompt.mid"


def make(
    run: SmallRun, out: Path, config: GenerateConfig, write_file: Callable[[Path, bytes | str], None] = write_atomic
) -> list[Path]:
    """Generate as a task of an array, which writes no index; by default the only task."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(job, "open_run", lambda path: run)
        return generate(run.path, out, replace(config, part=config.part or "0/1"), write_file)


def contents(out: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in out.iterdir()}


def sidecar(out: Path, piece: int) -> dict:
    return json.loads((out / f"{piece:04d}.json").read_text())


def test_every_piece_is_a_midi_file_and_a_sidecar(run, out):
    paths = make(run, out, CONFIG)
    assert paths == [out / "0000.mid", out / "0001.mid", out / "0002.mid"]
    assert sorted(contents(out)) == ["0000.json", "0000.mid", "0001.json", "0001.mid", "0002.json", "0002.mid"]


def test_the_midi_file_reads_back_as_the_words_of_the_sidecar(run, out):
    for path in make(run, out, replace(CONFIG, num=6)):
        ids, _ = tokenize(read_midi(path), run.tokenizer)
        assert words_of(ids) == json.loads(path.with_suffix(".json").read_text())["words"].split()


def test_a_sidecar_says_where_a_piece_comes_from_and_what_it_is(run, out, prompt):
    make(run, out, replace(CONFIG, prompt=str(prompt), seed=5, temperature=0.9))
    found = sidecar(out, 1)
    words = found.pop("words").split()
    assert found.pop("prompt")["name"] == "prompt.mid"
    assert found.pop("settings")["temperature"] == 0.9
    assert found.pop("ended") in {"xxeos", "limit"}
    assert found.pop("num_tokens") == len(words) <= 40
    assert found.pop("num_steps") >= 12
    assert " ".join(words[:12]) == "xxbos xxpad n60 d4 xxsep d4 n64 d4 xxsep d4 n67 d4"
    assert found == {
        "run": "small",
        "checkpoint": {"step": 200, "sha256": "0" * 64},
        "seed": 5,
        "piece": 1,
        "prompt_tokens": 12,
        "prompt_steps": 12,
        "steps_per_quarter": 4,
        "quarters_per_minute": 60.0,
    }


def test_a_continuation_is_written_in_the_tempo_of_its_prompt(run, out, prompt):
    path = make(run, out, replace(CONFIG, num=1, prompt=str(prompt)))[0]
    assert read_midi(path).tempo_map.quarters_per_minute.tolist() == [60.0]


def test_no_sidecar_or_midi_file_contains_a_path_of_this_machine(run, out, prompt, tmp_path):
    make(run, out, replace(CONFIG, prompt=str(prompt)))
    assert not any(str(tmp_path).encode() in data for data in contents(out).values())


def test_a_second_run_makes_only_what_is_missing(run, out):
    make(run, out, CONFIG)
    whole = contents(out)
    stamps = {path.name: path.stat().st_mtime_ns for path in out.iterdir()}
    (out / "0001.json").unlink()  # as if killed before the sidecar
    (out / "0002.mid").unlink()
    make(run, out, CONFIG)
    assert contents(out) == whole
    assert {path.name for path in out.iterdir() if path.stat().st_mtime_ns == stamps[path.name]} == {
        "0000.json",
        "0000.mid",
    }


def test_parts_of_an_array_make_the_same_folder_as_one_job(run, tmp_path):
    config = replace(CONFIG, num=5)
    make(run, tmp_path / "one", config)
    for part in ("1/2", "0/2"):
        make(run, tmp_path / "array", replace(config, batch=2, part=part))
    assert contents(tmp_path / "array") == contents(tmp_path / "one")


def test_more_pieces_can_be_asked_for_later(run, out):
    make(run, out, CONFIG)
    first = contents(out)
    assert len(make(run, out, replace(CONFIG, num=5))) == 5
    assert contents(out).items() >= first.items()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"seed": 1}, "0000.json was generated with seed = 0, but 1 is requested; choose another --out"),
        ({"top_k": 3}, "generated with settings.top_k = None, but 3 is requested"),
        ({"tokens": 50}, "generated with settings.tokens = 40, but 50 is requested"),
        ({"precision": "bf16"}, "generated with settings.precision = 'fp32', but 'bf16' is requested"),
        ({"ops": "reference"}, "generated with settings.ops = 'auto', but 'reference' is requested"),
    ],
)
def test_pieces_of_another_request_are_left_alone(run, out, change, message):
    make(run, out, CONFIG)
    before = contents(out)
    with pytest.raises(RunError, match=message):
        make(run, out, replace(CONFIG, **change))
    assert contents(out) == before


def test_of_two_requests_that_begin_at_once_in_one_folder_one_is_refused(run, out):
    """Both find the folder empty, and each would overwrite pieces of the other."""
    folders = [
        PieceFolder(out, Prompt(), request_of("small", run.load_model()[1], config, Prompt()), config)
        for config in (CONFIG, replace(CONFIG, seed=1))
    ]
    for folder in folders:
        folder.open()
    pieces = [SampledPiece(Request(piece), ids_of(WORDS), "xxeos") for piece in range(2)]
    folders[0].write(pieces[0])
    before = contents(out)
    for piece in pieces:
        with pytest.raises(RunError, match=r"0000\.json was generated with seed = 0, but 1 is requested"):
            folders[1].write(piece)
    assert contents(out) == before
    folders[0].write(pieces[1])
    assert sidecar(out, 1)["seed"] == 0


def test_a_folder_whose_file_system_has_no_locks_takes_pieces(run, out, monkeypatch):
    def no_lock(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSYS, "Function not implemented")

    monkeypatch.setattr(piece_folder, "FileLock", no_lock)
    assert all(path.exists() for path in make(run, out, CONFIG))


def test_pieces_of_bf16_are_recorded_as_such_and_do_not_mix_with_fp32(run, out):
    make(run, out, replace(CONFIG, precision="bf16"))
    assert sidecar(out, 0)["settings"]["precision"] == "bf16"
    assert make(run, out, replace(CONFIG, precision="bf16", num=4))[3].exists()
    with pytest.raises(RunError, match=r"generated with settings\.precision = 'bf16', but 'fp32' is requested"):
        make(run, out, CONFIG)


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_a_model_draws_in_the_precision_asked_for(run, out, precision):
    make(run, out, replace(CONFIG, precision=precision))
    assert run.model.bf16 == (precision == "bf16")


def test_pieces_of_another_checkpoint_or_prompt_are_left_alone(run, out, prompt):
    make(run, out, CONFIG)
    with pytest.raises(RunError, match=r"generated with checkpoint\.sha256 = '0000"):
        make(replace(run, sha256="1" * 64), out, CONFIG)
    with pytest.raises(RunError, match=r"generated with prompt\.name = None, but 'prompt\.mid' is requested"):
        make(run, out, replace(CONFIG, prompt=str(prompt)))


def test_a_file_that_is_not_a_sidecar_is_named(run, out):
    make(run, out, CONFIG)
    (out / "0001.json").write_text('{"run": "sm')
    with pytest.raises(RunError, match=r"0001\.json is not a sidecar of a piece; remove it"):
        make(run, out, CONFIG)


@pytest.mark.parametrize("last", [7, 8])
def test_a_killed_job_leaves_no_half_piece_and_is_finished_by_a_second_one(run, out, tmp_path, last):
    config = replace(CONFIG, num=6, batch=1)
    make(run, tmp_path / "whole", config)
    written = []

    def die_at_the_last(path: Path, data: bytes | str) -> None:
        written.append(path)
        if len(written) == last:
            raise KeyboardInterrupt
        write_atomic(path, data)

    with pytest.raises(KeyboardInterrupt):
        make(run, out, config, die_at_the_last)
    assert len(list(out.glob("*.json"))) == 3
    make(run, out, config)
    assert contents(out) == contents(tmp_path / "whole")


def test_a_failed_piece_is_reported_when_the_others_are_written(run, out, tmp_path, monkeypatch):
    make(run, tmp_path / "whole", CONFIG)

    def fail_piece_1(*arguments):
        for made in sample_each(*arguments):
            yield replace(made, ended="failed", reason="no finite scores") if made.request.piece == 1 else made

    sample_each = job.sample_each
    monkeypatch.setattr(job, "sample_each", fail_piece_1)
    with pytest.raises(RunError, match="piece 1 failed: no finite scores"):
        make(run, out, CONFIG)
    whole = contents(tmp_path / "whole")
    assert contents(out) == {name: whole[name] for name in whole if not name.startswith("0001")}


def test_scores_and_pictures_are_written_on_demand_even_later(run, out):
    make(run, out, CONFIG)
    make(run, out, replace(CONFIG, musicxml=True, piano_roll=True))
    assert sorted(path.name for path in out.glob("0001.*")) == ["0001.json", "0001.mid", "0001.musicxml", "0001.png"]
    assert (out / "0001.png").read_bytes().startswith(b"\x89PNG")
    assert b"<score-partwise" in (out / "0001.musicxml").read_bytes()


def test_pieces_on_a_grid_that_notation_cannot_express_are_written_without_scores_and_with_one_warning(
    run, out, capsys
):
    run.tokenizer = TokenizerConfig(steps_per_quarter=11)
    paths = make(run, out, replace(CONFIG, musicxml=True))
    assert sorted(contents(out)) == sorted(f"{path.stem}.{kind}" for path in paths for kind in ("json", "mid"))
    warning = "warning: no score: music notation has no note values for a grid of 11 steps"
    assert capsys.readouterr().err.count(warning) == 1


@pytest.mark.parametrize("name", ["prompt_seconds", "prompt_bars"])
def test_a_cut_without_a_prompt_is_refused(run, out, name):
    with pytest.raises(SettingError, match=f"setting '{name}' is 2, but there is no prompt"):
        make(run, out, replace(CONFIG, **{name: 2.0}))


def test_a_missing_prompt_is_refused_before_anything_is_written(run, out):
    with pytest.raises(SourceError, match=r"missing\.mid"):
        make(run, out, replace(CONFIG, prompt="missing.mid"))
    assert not out.exists()


def test_a_file_instead_of_the_folder_is_refused(run, out):
    out.write_text("")
    with pytest.raises(SettingError, match="cannot create the folder --out"):
        make(run, out, CONFIG)


def test_a_run_folder_is_opened_by_its_path(run, tmp_path, out):
    config = TrainConfig(out=str(tmp_path / "small"), model=ModelConfig(hidden_size=8))
    real = create_run(config, {"shards": {"tokenizer": asdict(run.tokenizer)}})
    tensors = {"model": run.model.state_dict()}
    write_checkpoint(real.checkpoints, 200, tensors, {"step": 200, "model": to_dict(config.model)})
    paths = generate(tmp_path / "small", out, CONFIG)
    make(run, tmp_path / "others", CONFIG)
    assert [path.read_bytes() for path in paths] == [(tmp_path / "others" / path.name).read_bytes() for path in paths]


@pytest.mark.parametrize(("has_gpu", "device", "expected"), [(True, "auto", "cuda"), (True, "cpu", "cpu")])
def test_the_model_generates_on_the_gpu_if_there_is_one(
    run, out, monkeypatch: pytest.MonkeyPatch, has_gpu, device, expected
):
    moved: list[str] = []
    monkeypatch.setattr(torch.cuda, "is_available", lambda: has_gpu)
    monkeypatch.setattr(PianoModel, "to", lambda self, device: moved.append(device.type))
    make(run, out, replace(CONFIG, device=device))
    assert moved == [expected]


def test_a_missing_gpu_is_refused(run, out, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(SettingError, match="'device' is 'cuda', but torch finds no GPU"):
        make(run, out, replace(CONFIG, device="cuda"))


def test_a_folder_that_is_not_a_run_is_refused(tmp_path, out):
    with pytest.raises(RunError, match="is not a run folder"):
        generate(tmp_path, out, CONFIG)


def test_words_of_a_sidecar_are_the_vocabularys(run, out):
    make(run, out, CONFIG)
    assert len(ids_of(sidecar(out, 0)["words"].split())) == sidecar(out, 0)["num_tokens"]
