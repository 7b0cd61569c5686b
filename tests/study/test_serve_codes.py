"""Codes of invitation: each rater of a study that has them needs one, and they are their owner's to read."""

import os
from pathlib import Path
from typing import Any

import pytest
from served import Browser, served

from pianogen.study.answers import read_answers
from pianogen.study.codes import make_codes, plain
from pianogen.study.folder import StudyFolder
from pianogen.study.store import Store


def test_a_study_with_codes_asks_each_rater_for_one(folder: StudyFolder, tmp_path: Path) -> None:
    with Store(folder) as store:
        assert make_codes(folder, store, 2) == 2
        assert make_codes(folder, store, 2) == 0
        assert make_codes(folder, store, 3) == 1
    file = folder.path / "codes.txt"
    codes = file.read_text().split()
    file.unlink()
    assert len({plain(code) for code in codes}) == 3
    with served(folder) as clients:
        rater, other = Browser(clients()), Browser(clients())
        assert rater.view["needs_code"]
        for wrong in ({}, {"code": None}, {"code": ""}, {"code": "AAAAA-AAAAA"}):
            assert rater.post("/api/consent", wrong).status_code == 403
        typed = f" {codes[0].lower().replace('-', ' ')} "
        assert rater.post("/api/consent", {"code": typed}).status_code == 200
        refused = other.post("/api/consent", {"code": codes[0]})
        assert (refused.status_code, "was used" in refused.json()["error"]) == (403, True)
        assert other.post("/api/consent", {"code": codes[1]}).status_code == 200
    assert len(read_answers(folder)[0]) == 2


def test_notes_beside_codes_are_kept_and_are_no_codes(folder: StudyFolder) -> None:
    file = folder.path / "codes.txt"
    with Store(folder) as store:
        make_codes(folder, store, 2)
        first, second = file.read_text().split()
        file.write_text(f"{first} Renée\n# sent on Monday\n{second}\n")
        assert make_codes(folder, store, 3) == 1
        assert file.read_text().startswith(f"{first} Renée\n# sent on Monday\n{second}\n")
        assert store.num_codes() == 3
    file.unlink()


def test_codes_are_for_their_owners_eyes_while_they_are_written(
    folder: StudyFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened: dict[str, int] = {}
    real_open = os.open

    def watched(path: Any, flags: int, *mode: int, **options: Any) -> int:
        handle = real_open(path, flags, *mode, **options)
        if flags & os.O_CREAT:
            opened[Path(path).name] = os.fstat(handle).st_mode & 0o777
        return handle

    monkeypatch.setattr(os, "open", watched)
    with Store(folder) as store:
        make_codes(folder, store, 1)
    modes = {mode for name, mode in opened.items() if "codes.txt" in name}
    (folder.path / "codes.txt").unlink()
    assert modes == {0o600}


def test_codes_and_answers_are_for_their_owners_eyes(folder: StudyFolder) -> None:
    with Store(folder) as store:
        make_codes(folder, store, 1)
        files = [folder.path / "codes.txt", *folder.path.glob("answers.sqlite*")]
        assert [file.stat().st_mode & 0o077 for file in files] == [0, 0, 0, 0]
    files[0].unlink()
