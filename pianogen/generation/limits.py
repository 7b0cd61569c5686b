"""Maximum and minimum length of a piece, in tokens and in steps, both counted over the whole piece with its prompt.

A piece's length in steps is where its last note ends; a note of the prompt may end later. A pair is two tokens
and a stream is `xxbos xxpad`, pairs and `xxeos`, so that a piece always has an odd number of tokens.
"""

import math
from dataclasses import dataclass

from pianogen.config import GenerateConfig
from pianogen.errors import SettingError
from pianogen.generation.prompt import Prompt
from pianogen.tokens.vocab import HIGHEST_PITCH, LOWEST_PITCH

DEFAULT_TOKENS = 1024  # when no length is requested
# the strict grammar has each pitch at most once per step, then a wait
_MAX_TOKENS_PER_STEP = 2 * (HIGHEST_PITCH - LOWEST_PITCH + 2)
_ROUNDING = 1e-6  # steps; 0.1 s and 0.125 s per step are not exact binary numbers


@dataclass(frozen=True)
class Limits:
    """Bounds of one piece; where a maximum and a minimum contradict each other, the maximum wins."""

    max_tokens: int = DEFAULT_TOKENS
    """Tokens, xxeos included."""
    max_steps: int | None = None
    min_tokens: int = 0
    min_steps: int = 0


def plan_limits(config: GenerateConfig, prompt: Prompt) -> Limits:
    """Convert tokens, bars and seconds into limits for what follows a prompt.

    Raises:
        SettingError: A minimum is above its maximum, or a maximum leaves no room for a note.
    """
    max_steps = _max_steps(config, prompt)
    max_tokens = _max_tokens(config, prompt, max_steps)
    _check_order("tokens", config.min_tokens, max_tokens)
    _check_order("bars", config.min_bars, config.bars)
    _check_order("seconds", config.min_seconds, config.seconds)
    return Limits(
        max_tokens=max_tokens,
        max_steps=max_steps,
        min_tokens=config.min_tokens or 0,
        min_steps=_min_steps(config, prompt),
    )


def _check_order(unit: str, lowest: float | None, highest: float | None) -> None:
    if lowest is not None and highest is not None and lowest > highest:
        raise SettingError(
            f"setting 'min_{unit}' is {lowest:g}, but a piece has at most {highest:g} {unit};"
            f" lower --min_{unit} or raise --{unit}"
        )


def _max_steps(config: GenerateConfig, prompt: Prompt) -> int | None:
    lengths = [math.floor(steps + _ROUNDING) for steps in _steps(prompt, config.bars, config.seconds)]
    if not lengths:
        return None
    if min(lengths) < 1:
        raise SettingError(
            f"settings 'bars' ({config.bars}) and 'seconds' ({config.seconds}) leave less than one step of"
            f" {prompt.seconds_per_step:g} s; ask for more"
        )
    return prompt.num_steps + min(lengths)


def _min_steps(config: GenerateConfig, prompt: Prompt) -> int:
    lengths = [math.ceil(steps - _ROUNDING) for steps in _steps(prompt, config.min_bars, config.min_seconds)]
    return prompt.num_steps + max(lengths) if lengths else 0


def _steps(prompt: Prompt, bars: float | None, seconds: float | None) -> list[float]:
    lengths = []
    if bars is not None:
        lengths.append(bars * prompt.bar_steps)
    if seconds is not None:
        lengths.append(seconds / prompt.seconds_per_step)
    return lengths


def _max_tokens(config: GenerateConfig, prompt: Prompt, max_steps: int | None) -> int:
    if config.tokens is None and max_steps is not None:
        return len(prompt.ids) + (max_steps - prompt.clock) * _MAX_TOKENS_PER_STEP + 1
    max_tokens = config.tokens or DEFAULT_TOKENS
    needed = len(prompt.ids) + 3  # one note and xxeos
    if max_tokens < needed:
        raise SettingError(
            f"setting 'tokens' is {max_tokens}, but a prompt of {len(prompt.ids)} tokens, a note and xxeos need"
            f" {needed}; raise --tokens, or shorten the prompt with --prompt_seconds or --prompt_bars"
        )
    return max_tokens
