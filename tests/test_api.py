"""The public interface: what `pianogen.__all__` names works in memory and equals what the commands do."""

import importlib
import pkgutil
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from forked import LIMIT_S
from forked import run as run_program
from tiny import tiny_config

import pianogen
from pianogen.config import CheckpointConfig, ModelConfig, TokenizerConfig, ValidationConfig
from pianogen.errors import RunError, SettingError, TokenError
from pianogen.tokens import read_midi, write_midi
from pianogen.tokens.vocab import VOCABULARY_SIZE
from pianogen.train import train

ROOT = Path(__file__).parents[1]
EXAMPLE = ROOT / "examples" / "continue_midi.py"
PAGE = (ROOT / "docs" / "api.md").read_text()


@pytest.fixture(scope="module")
def run(tiny_shards: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of two steps."""
    path = tmp_path_factory.mktemp("api") / "run"
    config = tiny_config(
        tiny_shards,
        path,
        steps=2,
        model=ModelConfig(kind="lstm", hidden_size=8),
        validation=ValidationConfig(every_steps=2, slice_tokens=200, num_samples=0),
        checkpoint=CheckpointConfig(every_steps=1),
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PIANOGEN_TRACK", "off")
        train(config)
    return path


@pytest.fixture
def midi(tiny_shards: Path) -> Path:
    """One of the performances in the shards."""
    return tiny_shards.parent / "music" / "03.mid"


def test_every_promised_name_is_a_function_after_every_submodule_is_imported():
    for module in pkgutil.walk_packages(pianogen.__path__, "pianogen."):
        if not module.name.endswith("__main__"):
            importlib.import_module(module.name)
    assert all(callable(getattr(pianogen, name)) for name in pianogen.__all__)
    assert set(pianogen.__all__) <= set(dir(pianogen))


@pytest.mark.parametrize("code", ["", "pianogen.encode", "pianogen.open_run", "dir(pianogen)"])
def test_importing_the_package_and_reading_files_loads_no_torch(code: str):
    program = f"import sys, pianogen\n{code}\nassert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", program], check=True, timeout=LIMIT_S)


def test_importing_the_package_alone_loads_nothing_of_it():
    program = "import sys, pianogen\nassert not [name for name in sys.modules if name.startswith('pianogen.')]"
    subprocess.run([sys.executable, "-c", program], check=True, timeout=LIMIT_S)


def test_an_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="module 'pianogen' has no attribute 'generated'"):
        pianogen.generated  # noqa: B018  # pyright: ignore[reportAttributeAccessIssue]


def test_the_package_says_that_it_is_typed():
    assert (Path(pianogen.__file__).parent / "py.typed").exists()


def test_encode_takes_a_file_or_notes_and_decode_inverts_it(midi: Path):
    ids = pianogen.encode(midi)
    notes = pianogen.decode(ids)
    np.testing.assert_array_equal(pianogen.encode(notes), ids)
    assert len(pianogen.encode(str(midi), TokenizerConfig(steps_per_quarter=8))) >= len(ids)
    with pytest.raises(TokenError, match="the stream ends at token"):
        pianogen.decode(ids[:-1])
    with pytest.raises(TokenError, match="the stream ends at token 0"):
        pianogen.decode([])


def test_load_model_returns_the_checkpoint_ready_to_use(run: Path):
    opened = pianogen.open_run(str(run))
    model, same = pianogen.load_model(opened), pianogen.load_model(run, checkpoint="last")
    assert not model.training
    assert model.config == same.config == opened.config.model
    with pytest.raises(RunError, match="no checkpoint '7'"):
        pianogen.load_model(run, checkpoint="7")


def test_generate_returns_the_pieces_that_the_command_writes(run: Path, tmp_path: Path, midi: Path):
    from pianogen.cli import main

    pieces = pianogen.generate(run, prompt=midi, prompt_bars=1, num=2, seed=4, bars=2, device="cpu")
    words = f"--prompt {midi} --prompt_bars 1 --num 2 --seed 4 --bars 2 --device cpu --out {tmp_path / 'out'}"
    assert main(["generate", str(run), *words.split()]) == 0
    for index, piece in enumerate(pieces):
        write_midi(pianogen.decode(piece), tmp_path / "api.mid")
        np.testing.assert_array_equal(
            read_midi(tmp_path / "api.mid").pitch, read_midi(tmp_path / "out" / f"{index:04d}.mid").pitch
        )


def test_a_prompt_of_ids_is_continued_whether_or_not_it_has_an_end(run: Path, midi: Path):
    ids = pianogen.encode(midi)
    whole, (opened,) = pianogen.generate(run, prompt=ids, bars=2), pianogen.generate(run, prompt=ids[:-1], bars=2)
    np.testing.assert_array_equal(whole[0], opened)
    np.testing.assert_array_equal(opened[: len(ids) - 1], ids[:-1])
    assert len(opened) > len(ids)
    np.testing.assert_array_equal(pianogen.generate(run, prompt=midi, bars=2)[0], opened)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"temprature": 1.0}, "temprature"),
        ({"num": 0}, "'num' is 0, but it must be at least 1"),
        ({"musicxml": True}, "setting 'musicxml' is of the command"),
        ({"prompt": [0, 1, 70], "bars": 1}, "the stream ends at token 3"),
        ({"prompt": [], "bars": 1}, "the stream ends at token 0"),
        ({"prompt": [0, 1], "prompt_bars": 1}, "'prompt_bars' is 1, but there is no prompt"),
    ],
)
def test_mistakes_are_errors_of_the_package(run: Path, settings: dict, message: str):
    with pytest.raises((SettingError, TokenError), match=message):
        pianogen.generate(run, **settings)


def test_evaluate_returns_the_rows_of_the_table(run: Path):
    rows = pianogen.evaluate([pianogen.open_run(run)], split="test")
    assert rows[0].kind == "lstm"
    assert rows[0].splits["test"]["averages"]["accuracy"] >= 0
    assert (run / "evaluation" / "test.json").exists()
    with pytest.raises(SettingError, match="spilt"):
        pianogen.evaluate(run, spilt="test")


def test_every_function_has_a_section_and_every_example_of_the_page_is_valid(
    run: Path, midi: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    for name in pianogen.__all__:
        assert f"\n## {name}(" in PAGE
    examples = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
    assert len(examples) == 7
    monkeypatch.chdir(tmp_path)
    shutil.copy(midi, "in.mid")
    for name in ("lstm", "attn"):
        shutil.copytree(run, tmp_path / "runs" / name)
    values: dict = {}
    for example in examples:
        exec(example.replace("s3://bucket/", ""), values)
    assert len(read_midi(tmp_path / "out.mid")) > 0
    assert values["logits"].shape[-1] == VOCABULARY_SIZE
    assert len(values["pieces"]) == 4


def test_the_example_continues_a_midi_file(run: Path, midi: Path, tmp_path: Path):
    command = [sys.executable, str(EXAMPLE), str(run), str(midi), str(tmp_path / "out.mid")]
    assert run_program(command).returncode == 0
    assert len(read_midi(tmp_path / "out.mid")) > 0
