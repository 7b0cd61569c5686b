"""Discovery of plugins: order, names that are taken, and packages that fail, each in one line."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from pianogen.config import ModelConfig
from pianogen.errors import PluginError, SettingError, SourceError
from pianogen.evaluation import Counts, metrics_of, results
from pianogen.models import build_model
from pianogen.plugins import extensions
from pianogen.tokens import RawNotes, read_performance
from shards.sources import collect_folder

Install = Callable[[str, str], None]


_ONES = "import numpy\nfrom pianogen.tokens import RawNotes\none = numpy.ones(2, int)\n"


def test_packages_are_read_in_the_order_of_their_names(install: Install):
    for package in ("zeta_plugin", "alpha_plugin"):
        install(package, f"registry.add_metric('of_{package}', math.fsum)")
    found = extensions("metric", [])
    assert [(name, one.package) for name, one in found.items()] == [
        ("of_alpha_plugin", "alpha_plugin"),
        ("of_zeta_plugin", "zeta_plugin"),
    ]


def test_a_plugin_is_called_once_and_only_when_a_name_is_not_built_in(
    install: Install, capsys: pytest.CaptureFixture[str]
):
    install("count_plugin", "print('called')")
    build_model(ModelConfig(kind="rnn", hidden_size=2))
    assert capsys.readouterr().out == ""
    for _ in range(2):
        extensions("model", [])
        extensions("metric", [])
    assert capsys.readouterr().out == "called\n"


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ("import no_such_module", r"plugin 'bad_plugin' of package bad_plugin \(bad_plugin.plugin:register\) failed: "),
        ("1 / 0", "failed: ZeroDivisionError: division by zero; update or uninstall the package"),
        ("registry.add_model('lstm', 'a:B')", "model 'lstm' of package bad_plugin: pianogen has a model of this name"),
        ("registry.add_model('No', 'a:B')", "model 'No' of package bad_plugin: the name must match"),
        ("registry.add_source_format('txt', 'a:B')", "source format 'txt' of package bad_plugin: the name must match"),
        ("[registry.add_model('new', 'a:B') for _ in 'ab']", "model 'new' of package bad_plugin has the same name"),
    ],
)
def test_a_plugin_that_fails_is_named_in_one_line(install: Install, body: str, message: str):
    install("bad_plugin", body)
    with pytest.raises(PluginError, match=message) as error:
        ModelConfig(kind="other")
    assert "\n" not in str(error.value)


def test_two_packages_with_the_same_name_are_both_named(install: Install):
    for package in ("first_plugin", "second_plugin"):
        install(package, "registry.add_metric('same', math.fsum)")
    with pytest.raises(PluginError, match="'same' of package second_plugin: metric 'same' of package first_plugin has"):
        extensions("metric", [])


def test_an_unknown_kind_lists_those_of_plugins(install: Install):
    install("kind_plugin", "registry.add_model('transformer', 'no.module:Layer')")
    with pytest.raises(SettingError, match="'gru', but it must be one of rnn, lstm, attn, sha, transformer; others"):
        ModelConfig(kind="gru")
    with pytest.raises(SettingError, match="; did you mean transformer"):
        ModelConfig(kind="transformr")
    with pytest.raises(PluginError, match=r"'transformer' of package kind_plugin: cannot import no\.module:Layer"):
        build_model(ModelConfig(kind="transformer"))


def test_a_model_must_be_a_recurrent_layer(install: Install):
    install("wrong_plugin", "registry.add_model('wrong', dict)")
    with pytest.raises(PluginError, match="'wrong' of package wrong_plugin: <class 'dict'> is not a subclass"):
        build_model(ModelConfig(kind="wrong"))


@pytest.mark.parametrize(
    ("attributes", "message"),
    [
        ("{}", "model 'wrong' of package layer_plugin: Layer has no gates_per_unit"),
        ("{'gates_per_unit': 1, 'state_names': ('c',)}", "state_names is .*, but must contain 'h'"),
    ],
)
def test_a_layer_must_name_its_gates_and_its_output(install: Install, attributes: str, message: str):
    install(
        "layer_plugin",
        "from pianogen.models.layer import RecurrentLayer\n"
        f"registry.add_model('wrong', type('Layer', (RecurrentLayer,), {attributes}))",
    )
    with pytest.raises(PluginError, match=message):
        build_model(ModelConfig(kind="wrong"))


def test_a_metric_without_a_value_is_left_out_and_one_that_fails_is_named(install: Install):
    install(
        "metric_plugin",
        "registry.add_metric('half', lambda counts: 0.5)\nregistry.add_metric('none', lambda _: math.nan)",
    )
    found = results(Counts.zero(), seconds=0.0, notes=0)
    assert found["plugins"] == {"half": 0.5, "none": None}
    assert metrics_of("test", found)["test/half"] == 0.5
    assert "test/none" not in metrics_of("test", found)
    install("worse_plugin", "registry.add_metric('worse', lambda counts: counts / 0)")
    with pytest.raises(PluginError, match="metric 'worse' of package worse_plugin failed: TypeError"):
        results(Counts.zero(), seconds=0.0, notes=0)
    warnings: list[PluginError] = []
    found = results(Counts.zero(), seconds=0.0, notes=0, warn=warnings.append)
    assert found["plugins"] == {"half": 0.5, "none": None, "worse": None}
    assert len(warnings) == 1


@pytest.mark.parametrize("name", ["nll", "f1_weighted_note", "accuracy"])
def test_a_built_in_metric_cannot_be_replaced(install: Install, name: str):
    install("taken_plugin", f"registry.add_metric({name!r}, math.fsum)")
    with pytest.raises(PluginError, match=f"metric '{name}' of package taken_plugin: pianogen has a metric"):
        results(Counts.zero(), seconds=0.0, notes=0)


@pytest.mark.parametrize(
    ("reader", "message"),
    [
        ("lambda path: 1 / 0", "source format '.toy' of package format_plugin failed: ZeroDivisionError"),
        ("lambda path: path", "returned PosixPath, not pianogen.tokens.RawNotes"),
        (
            "lambda path: RawNotes(one, one[:1], one, 4)",
            "returned invalid RawNotes: duration has 1 notes and onset",
        ),
        ("lambda path: RawNotes(one - 2, one, one, 4)", "returned invalid RawNotes: onset must be between 0 and"),
        ("lambda path: RawNotes(one * 0.5, one, one, 4)", ": onset must be an array of int64"),
        ("lambda path: RawNotes(one[:0], one[:0], one[:0], 4)", "returned invalid RawNotes: there are no notes"),
        ("lambda path: RawNotes(one, one, one, 0)", "ticks_per_quarter is 0, but it must be an integer of at least 1"),
    ],
)
def test_a_reader_that_fails_is_an_error_of_the_file(install: Install, tmp_path: Path, reader: str, message: str):
    install("format_plugin", f"{_ONES}registry.add_source_format('.TOY', {reader})")
    (tmp_path / "a.toy").touch()
    with pytest.raises(SourceError, match=f"cannot read {tmp_path}/a.toy: .*{message}"):
        read_performance(tmp_path / "a.toy")
    (tmp_path / "a.other").touch()
    with pytest.raises(SourceError, match=r"has an unknown suffix; known are \.mid, .*\.krn, \.toy"):
        read_performance(tmp_path / "a.other")


def test_a_reader_that_cannot_be_imported_ends_shards_before_a_file_is_read(install: Install, tmp_path: Path):
    install("absent_plugin", "registry.add_source_format('.toy', 'no.module:read')")
    (tmp_path / "music").mkdir()
    (tmp_path / "music" / "a.mid").touch()
    assert len(collect_folder(tmp_path / "music").sources) == 1
    (tmp_path / "music" / "a.toy").touch()
    with pytest.raises(PluginError, match=r"'\.toy' of package absent_plugin: cannot import no\.module:read"):
        collect_folder(tmp_path / "music")


def test_a_reader_is_used_for_its_suffix_in_any_case(install: Install, tmp_path: Path):
    install("reader_plugin", "registry.add_source_format(['.one', '.two'], read)")
    module = tmp_path / "reader_plugin" / "plugin.py"
    source = (
        "from pianogen.tokens import RawNotes\nimport numpy as np\n\n\ndef read(path):\n    one = np.ones(1, int)\n"
    )
    module.write_text(source + "    return RawNotes(one, one, one * 60, 4)\n\n\n" + module.read_text())
    (tmp_path / "a.TWO").touch()
    raw = read_performance(tmp_path / "a.TWO")
    assert isinstance(raw, RawNotes)
    np.testing.assert_array_equal(raw.pitch, [60])
