"""A model's pieces as clips, and the refusal of those that copy more of the train split than people do."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from pianogen.config import GenerateConfig, StudyNewConfig
from pianogen.errors import StudyError
from pianogen.generation import Prompt, Request, plan_limits, sample_each
from pianogen.generation.job import device_of
from pianogen.judge.copy_index import CopyIndex
from pianogen.judge.copying import copies_of, human_copies, summary
from pianogen.metrics.music.windows import SECONDS_PER_QUARTER
from pianogen.metrics.originality import FORMS
from pianogen.ops.arithmetic import reproducible_on_gpu
from pianogen.ops.forms import using_form
from pianogen.runs import Run
from pianogen.study.cutting import cut
from pianogen.study.excerpts import Excerpt
from pianogen.tokens import Notes, decode
from pianogen.tokens.vocab import MAX_WAIT_STEPS

MAX_ATTEMPTS = 10  # pieces for one clip
_SPARE_S = 5.0  # a clip begins with its first note, which may be late


@dataclass(frozen=True, eq=False)
class Stimulus:
    """The notes of a clip."""

    notes: Notes
    source: str
    """What it is, for the key."""


class CopyRule:
    """Which pieces copy: those with a longer run of the train split than 95 % of the test performances have."""

    def __init__(self, index: CopyIndex) -> None:
        """Search the test split, unless that was done before."""
        self._index = index
        human = summary(human_copies(index))
        self._most = {form.name: human[form.name]["percentile_95"] for form in FORMS}

    def broken(self, notes: Notes) -> str | None:
        """What a piece copies, if it copies too much."""
        (copies,) = copies_of([notes], self._index)
        for name, most in self._most.items():
            run = getattr(copies, name)
            if run is not None and run.notes > most:
                source = run.title or run.source
                return f"{run.notes} notes of {source} ({name} run; 95 % of performances have at most {most:.0f})"
        return None


@reproducible_on_gpu()
def model_clips(
    run: Run,
    excerpts: Sequence[Excerpt],
    rule: CopyRule | None,
    config: StudyNewConfig,
    made_one: Callable[[], None] = lambda: None,
) -> tuple[list[Stimulus], list[Stimulus]]:
    """A clip from nothing and one after the prompt, for each excerpt; `made_one` is called after each.

    A clip that copies, or has no note, is replaced by one of the next piece that is drawn.

    Raises:
        StudyError: Ten pieces in a row cannot be used.
        RunError: The checkpoint is missing or damaged.
    """
    maker = _Maker(run, excerpts, rule, config)
    while missing := maker.missing():
        maker.make(missing, made_one)
    count = len(excerpts)
    stimuli = [maker.made[place] for place in range(2 * count)]
    return stimuli[:count], stimuli[count:]


class _Maker:
    """The clips of one run: places 0 to P - 1 are those from nothing, P to 2 P - 1 those after a prompt."""

    def __init__(self, run: Run, excerpts: Sequence[Excerpt], rule: CopyRule | None, config: StudyNewConfig) -> None:
        nothing = Prompt(steps_per_quarter=run.tokenizer.steps_per_quarter)
        self._prompts = [nothing] * len(excerpts) + [excerpt.prompt for excerpt in excerpts]
        self._run, self._rule, self._config = run, rule, config
        self._model, self._checkpoint = run.load_model(config.checkpoint)
        self._model.to(device_of(config.device))
        self._refused: dict[int, list[str]] = {place: [] for place in range(len(self._prompts))}
        self._late: set[int] = set()  # places whose piece begins after a long rest, and is drawn again with more time
        self.made: dict[int, Stimulus] = {}

    def missing(self) -> list[int]:
        """The places without a clip."""
        return [place for place in self._refused if place not in self.made]

    def make(self, places: Sequence[int], made_one: Callable[[], None]) -> None:
        """Draw the next piece of each place, and keep its clip or the reason against it."""
        place_of = {self._request(place): place for place in places}
        with using_form("auto"):
            for piece in sample_each(self._model, place_of, self._settings(_SPARE_S), self._run.config.model.mask):
                place = place_of[piece.request]
                reason = piece.reason or self._keep(place, decode(piece.tokens), piece.request.piece)
                if reason:
                    self._refuse(place, reason)
                elif place in self.made:
                    made_one()

    def _settings(self, spare_s: float) -> GenerateConfig:
        config, seconds = self._config, self._config.seconds + spare_s
        return GenerateConfig(
            seed=config.seed,
            seconds=seconds,
            min_seconds=seconds,
            temperature=config.temperature,
            duration_temperature=config.duration_temperature,
            top_p=config.top_p,
        )

    def _request(self, place: int) -> Request:
        prompt = self._prompts[place]
        longest_wait_s = MAX_WAIT_STEPS * prompt.seconds_per_step
        settings = self._settings(longest_wait_s if place in self._late else _SPARE_S)
        number = place + len(self._prompts) * len(self._refused[place])  # no other place draws it
        return Request(number, plan_limits(settings, prompt), prompt.ids)

    def _keep(self, place: int, notes: Notes, number: int) -> str | None:
        """Keep a piece's clip, or say what is against it; a piece that begins too late is neither kept nor refused."""
        steps_per_second = self._prompts[place].steps_per_quarter / SECONDS_PER_QUARTER
        cut_at = self._prompts[place].num_steps
        steps = round(self._config.seconds * steps_per_second)
        continuation = cut(notes, cut_at, steps, steps_per_second)
        wait_s = (notes.onset - cut_at) / steps_per_second
        if place not in self._late and not ((wait_s >= 0) & (wait_s <= _SPARE_S)).any():
            self._late.add(place)
            return None
        if not len(continuation):
            return "it has no note"
        if self._rule and (copied := self._rule.broken(continuation)):
            return f"it copies {copied}"
        start = 0 if self._config.with_prompt else cut_at
        source = f"{self._run.path.resolve().name}, step {self._checkpoint.step}, seed {self._config.seed}"
        refused = "".join(f"; in place of another: {reason}" for reason in self._refused[place])
        self.made[place] = Stimulus(cut(notes, start, steps, steps_per_second), f"{source}, piece {number}{refused}")
        return None

    def _refuse(self, place: int, reason: str) -> None:
        self._refused[place].append(reason)
        self._late.discard(place)
        if len(self._refused[place]) == MAX_ATTEMPTS:
            raise StudyError(
                f"{self._run.path}: {MAX_ATTEMPTS} pieces in a row cannot be used for one clip, the last because "
                f"{reason}; --allow_copies true keeps copies, or choose another --seed, --temperature or run"
            )
