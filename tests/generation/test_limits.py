"""Lengths in tokens, bars and seconds become limits in tokens and steps."""

import pytest

from pianogen.config import GenerateConfig
from pianogen.errors import SettingError
from pianogen.generation.limits import Limits, plan_limits
from pianogen.generation.prompt import Prompt
from pianogen.tokens.vocab import ids_of

NOTHING = Prompt()
WALTZ = Prompt(
    ids=ids_of(["xxbos", "xxpad", "n60", "d4", "xxsep", "d4", "n62", "d8"]),
    num_steps=12,
    quarters_per_minute=60.0,
    time_signature=(3, 4),
    name="waltz.mid",
)


def test_without_a_length_a_piece_has_at_most_1024_tokens():
    assert plan_limits(GenerateConfig(), NOTHING) == Limits(max_tokens=1024)


@pytest.mark.parametrize(
    ("config", "prompt", "max_steps"),
    [
        (GenerateConfig(bars=2), NOTHING, 32),
        (GenerateConfig(bars=2), WALTZ, 12 + 24),
        (GenerateConfig(seconds=10), NOTHING, 80),
        (GenerateConfig(seconds=0.7), NOTHING, 5),
        (GenerateConfig(seconds=10), WALTZ, 12 + 40),
        (GenerateConfig(seconds=10, bars=2), NOTHING, 32),
        (GenerateConfig(seconds=3), Prompt(steps_per_quarter=12), 72),
    ],
)
def test_a_maximum_counts_whole_steps_after_the_prompt(config, prompt, max_steps):
    assert plan_limits(config, prompt).max_steps == max_steps


@pytest.mark.parametrize(
    ("config", "min_steps"),
    [
        (GenerateConfig(min_bars=1), 12 + 12),
        (GenerateConfig(min_seconds=0.3), 12 + 2),
        (GenerateConfig(min_seconds=0.3, min_bars=1), 12 + 12),
        (GenerateConfig(), 0),
    ],
)
def test_a_minimum_is_rounded_up_to_steps_after_the_prompt(config, min_steps):
    assert plan_limits(config, WALTZ).min_steps == min_steps


def test_a_length_in_steps_still_bounds_the_tokens():
    every_key_on_every_step = 2 + 2 * 32 * (88 + 1) + 1
    assert plan_limits(GenerateConfig(bars=2), NOTHING).max_tokens == every_key_on_every_step


@pytest.mark.parametrize(
    ("config", "prompt", "message"),
    [
        (GenerateConfig(tokens=64, min_tokens=65), NOTHING, "'min_tokens' is 65, but a piece has at most 64 tokens"),
        (GenerateConfig(min_tokens=2000), NOTHING, "'min_tokens' is 2000, but a piece has at most 1024 tokens"),
        (GenerateConfig(bars=2, min_bars=2.5), NOTHING, r"'min_bars' is 2\.5, but a piece has at most 2 bars"),
        (GenerateConfig(seconds=2, min_seconds=3), NOTHING, "'min_seconds' is 3, but a piece has at most 2 seconds"),
        (GenerateConfig(tokens=4), NOTHING, "'tokens' is 4, but a prompt of 2 tokens, a note and xxeos need 5"),
        (GenerateConfig(tokens=10), WALTZ, "'tokens' is 10, but a prompt of 8 tokens, a note and xxeos need 11"),
        (GenerateConfig(seconds=0.1), NOTHING, r"leave less than one step of 0\.125 s"),
    ],
)
def test_limits_that_leave_nothing_to_write_are_refused(config, prompt, message):
    with pytest.raises(SettingError, match=message):
        plan_limits(config, prompt)
