"""What a rater's browser is shown next, which only the server decides, and the clips that it may fetch."""

import math
from typing import Any

from pianogen.study.design import Design, Hearing, Sessions
from pianogen.study.store import RaterProgress

_ANSWERING_S = 12  # a guess of the time that a page takes beside its clip


class Views:
    """The stages of a study: consent, sound-check, instructions, clip (one page after another), finished."""

    def __init__(self, design: Design, sessions: Sessions) -> None:
        self._design, self._sessions = design, sessions

    def pages(self, progress: RaterProgress) -> tuple[Hearing, ...]:
        """The session of a rater."""
        return self._sessions.sessions[progress.session]

    def sound_check(self, progress: RaterProgress) -> Hearing:
        """The clip of the sound check: another one after each wrong answer."""
        return self._sessions.sound_check[progress.sound_checks % len(self._sessions.sound_check)]

    def length_s(self, clip: str) -> float:
        """The length of a clip, in seconds."""
        return self._sessions.seconds[clip]

    def stage(self, progress: RaterProgress | None) -> str:
        """The name of the stage."""
        if progress is None:
            return "consent"
        if not progress.heard_right:
            return "sound-check"
        if not progress.instructed:
            return "instructions"
        return "finished" if progress.finished else "clip"

    def next(self, progress: RaterProgress | None) -> dict[str, Any]:
        """What is shown next, with its stage. A rating and a clip that is heard again look the same."""
        stage = self.stage(progress)
        shown: dict[str, Any] = {"stage": stage}
        if progress is None:
            return shown | self._invitation()
        if stage == "sound-check":
            return shown | self._clip(self.sound_check(progress).clip) | {"wrong_answers": progress.sound_checks}
        if stage == "instructions":
            return shown | {"examples": [self._clip(clip) for clip in self._sessions.examples]}
        if stage == "clip":
            pages = self.pages(progress)
            page = pages[progress.position]
            asks = "notes" if page.role == "check" else "rating"
            return shown | self._clip(page.clip) | {"position": progress.position, "of": len(pages), "asks": asks}
        return shown

    def clips(self, progress: RaterProgress | None) -> set[str]:
        """The clips that were or are on a page of a rater."""
        if progress is None:
            return set()
        checks = self._sessions.sound_check[: progress.sound_checks + 1]
        examples = self._sessions.examples if progress.heard_right else ()
        pages = self.pages(progress)[: progress.position + 1] if progress.instructed else ()
        return {hearing.clip for hearing in (*checks, *pages)} | set(examples)

    def _clip(self, name: str) -> dict[str, Any]:
        return {"clip": name, "seconds": self.length_s(name), "must_finish": self._design.must_finish_clip}

    def _invitation(self) -> dict[str, int]:
        longest = max(self._sessions.sessions, key=len)
        seconds = sum(self.length_s(page.clip) + _ANSWERING_S for page in longest)
        return {"of": len(longest), "minutes": math.ceil(seconds / 60)}
