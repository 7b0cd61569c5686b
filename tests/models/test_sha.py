"""The model kind sha: its memory is bounded, spans excerpts and ends with the piece; its settings and names."""

import pytest
import torch
from streams import stepped, tokens

from pianogen.config import GenerateConfig, ModelConfig
from pianogen.errors import SettingError
from pianogen.generation.limits import Limits
from pianogen.generation.sampler import Request, sample
from pianogen.models import PianoModel, build_model
from pianogen.tokens.grammar import states_of
from pianogen.tokens.vocab import BOS

WINDOW = 4


def small(*, feed_forward: bool = False) -> PianoModel:
    """A float64 model in evaluation mode, always with the same weights."""
    torch.manual_seed(0)
    return build_model(ModelConfig("sha", 6, attention_window=WINDOW, feed_forward=feed_forward)).double().eval()


@pytest.mark.parametrize("feed_forward", [False, True])
def test_steps_longer_than_the_window_equal_one_pass(feed_forward: bool):
    model, words = small(feed_forward=feed_forward), tokens(time=20, begins=0.1)
    with torch.no_grad():
        torch.testing.assert_close(stepped(model, words), model(words))


def test_excerpts_with_the_state_carried_equal_one_pass_over_both():
    model, words = small(), tokens(time=20, begins=0.1)
    first, state = model(words[:, :10])
    second, _ = model(words[:, 10:], {name: value.detach() for name, value in state.items()})
    torch.testing.assert_close(torch.cat((first, second), dim=1), model(words)[0])


def test_the_memory_reaches_back_as_far_as_its_window():
    model = small()
    state = model(tokens(time=20).clamp(min=1))[1]
    changed = {**state, "memory": state["memory"].index_add(1, torch.tensor([1]), torch.ones(3, 1, 6).double())}
    after = torch.full((3, 4), 60)
    differs = (model(after, state)[0] != model(after, changed)[0]).any(dim=2).all(dim=0)
    assert differs.tolist() == [True, False, False, False]  # the second oldest is seen once more


def test_xxbos_empties_the_memory_of_its_row_alone():
    model = small()
    _, state = model(tokens(2, 9).clamp(min=1))
    _, after = model.step(torch.tensor([BOS, 60]), state)
    assert after["length"].tolist() == [1, WINDOW]
    assert after["memory"][0, :-1].count_nonzero() == 0
    torch.testing.assert_close(after["memory"][1, :-1], state["memory"][1, 1:].detach())


def test_the_state_has_one_size_at_any_length():
    shapes = [{name: value.shape for name, value in small()(tokens(time=time))[1].items()} for time in (1, 3, 20)]
    assert shapes[0] == shapes[1] == shapes[2]
    assert shapes[0]["memory"] == (3, WINDOW, 6)


def test_parameter_names_are_the_checkpoint_format():
    names = [name for name in small(feed_forward=True).state_dict() if name.startswith("block.")]
    assert sorted(name.removeprefix("block.") for name in names) == [
        *("context_norm.bias", "context_norm.weight"),
        *("feed_forward.bias", "feed_forward.narrower", "feed_forward.norm.bias", "feed_forward.norm.weight"),
        *("feed_forward.wider", "norm.bias", "norm.weight", "query"),
    ]


def test_a_window_without_the_current_position_is_refused():
    with pytest.raises(SettingError, match=r"'model\.attention_window' is 0, but it must be at least 1"):
        ModelConfig("sha", attention_window=0)


def test_a_kind_without_the_layer_refuses_the_setting():
    with pytest.raises(SettingError, match=r"'model\.feed_forward' is True, but it must be false"):
        ModelConfig("lstm", feed_forward=True)


def test_sampled_pieces_follow_the_grammar_and_do_not_depend_on_the_batch():
    model = build_model(ModelConfig("sha", 8, attention_window=WINDOW, feed_forward=True)).eval()
    requests = [Request(piece, Limits(max_tokens=40)) for piece in range(70)]
    together = sample(model, requests, GenerateConfig(batch=64))
    states_of(together[69].tokens)  # raises where the grammar is broken
    alone = sample(model, requests[69:], GenerateConfig(batch=1))[0]
    assert alone.tokens.tolist() == together[69].tokens.tolist()
