"""What is stored of a study: each answer once, in order, and nothing that says who gave it."""

import os
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest

from pianogen.errors import StudyError
from pianogen.study.answers import read_answers
from pianogen.study.design import Condition, Design, Hearing, Sessions
from pianogen.study.folder import StudyFolder
from pianogen.study.results import collect
from pianogen.study.store import CodeError, OrderError, Store

PAGES = (Hearing("a", "rating"), Hearing("b", "check", 3), Hearing("a", "repeat"))


@pytest.fixture
def folder(tmp_path: Path) -> StudyFolder:
    """A study of two sessions, without clips."""
    folder = StudyFolder(tmp_path)
    design = Design("t", "", 0, (Condition("real", "reference"),), (), raters=2, clips=1, stimuli=1, power={})
    folder.write(design, Sessions((Hearing("c", "check", 2),), (), (PAGES, PAGES[:1]), dict.fromkeys("abc", 1.0)), {})
    return folder


@pytest.fixture
def store(folder: StudyFolder) -> Iterator[Store]:
    with Store(folder) as store:
        yield store


def test_a_study_that_nobody_has_answered_has_no_answers(folder: StudyFolder) -> None:
    assert read_answers(folder) == ([], [])


@pytest.mark.parametrize("before", ["a file", "a log"])
def test_a_study_whose_server_was_killed_before_its_tables_has_no_answers(folder: StudyFolder, before: str) -> None:
    folder.answers.touch()
    if before == "a log":
        with sqlite3.connect(folder.answers) as file:
            file.execute("PRAGMA journal_mode=WAL")
        file.close()
    assert read_answers(folder) == ([], [])
    with pytest.raises(StudyError, match="has no ratings yet; `pianogen study serve"):
        collect(folder)
    with Store(folder) as store:
        store.begin("a")
    assert len(read_answers(folder)[0]) == 1


def test_answers_are_read_back_as_they_were_given_while_the_study_goes_on(folder: StudyFolder, store: Store) -> None:
    comment = "'); DROP TABLE answers; -- <b>\0é"
    store.begin("first")
    store.begin("second")
    store.answer(0, 0, value=4, heard_s=1.5, comment=comment)
    store.answer(1, 0, value=0, heard_s=0.5)
    raters, answers = read_answers(folder)
    assert [(one.number, one.session, one.finished is None) for one in raters] == [(0, 0, True), (1, 1, False)]
    given = [(one.rater, one.position, one.clip, one.role, one.value, one.heard_s, one.comment) for one in answers]
    assert given == [(0, 0, "a", "rating", 4, 1.5, comment), (1, 0, "a", "rating", 0, 0.5, "")]
    assert store.counts() == {"begun": 2, "finished": 1, "answers": 2}


def test_sessions_are_given_out_in_turn_and_consent_twice_is_one_rater(store: Store) -> None:
    for name in ("a", "b", "c", "a"):
        store.begin(name)
    assert [store.rater(name).session for name in "abc"] == [0, 1, 0]  # pyright: ignore[reportOptionalMemberAccess]
    assert store.counts()["begun"] == 3


def test_the_session_of_a_rater_who_left_is_given_to_another(store: Store) -> None:
    store.begin("leaves")
    store.begin("finishes")
    store.answer(1, 0, value=1, heard_s=1)  # its session has one page
    store._file.first_row("UPDATE raters SET started = '2026-01-01T00:00:00+00:00'")  # both a long time ago
    store.begin("new")
    assert store.rater("new").session == store.rater("leaves").session  # pyright: ignore[reportOptionalMemberAccess]


def test_a_rater_whose_row_was_deleted_by_hand_keeps_nobody_from_beginning(store: Store) -> None:
    for name in "abc":
        store.begin(name)
    store._file.first_row("DELETE FROM raters WHERE number = 1")
    store.begin("d")
    assert store.rater("d").number == 3  # pyright: ignore[reportOptionalMemberAccess]


def test_a_full_disk_refuses_an_answer_keeps_the_others_and_takes_it_later(folder: StudyFolder, store: Store) -> None:
    store.begin("a")
    store.answer(0, 0, value=1, heard_s=1)
    (pages,) = store._file.first_row("PRAGMA page_count")
    store._file.first_row(f"PRAGMA max_page_count = {pages}")
    long = "x" * 20_000
    with pytest.raises(sqlite3.OperationalError, match="full"):
        store.answer(0, 1, value=3, heard_s=1, comment=long)
    assert [one.position for one in read_answers(folder)[1]] == [0]
    store._file.first_row("PRAGMA max_page_count = 1000000")
    store.answer(0, 1, value=3, heard_s=1, comment=long)
    assert [one.position for one in read_answers(folder)[1]] == [0, 1]


def test_a_file_that_cannot_be_opened_is_not_called_damaged(folder: StudyFolder) -> None:
    folder.answers.mkdir()
    with pytest.raises(StudyError, match=r"answers\.sqlite cannot be opened: unable to open database file$"):
        Store(folder)


def test_pages_are_answered_in_order_and_once(store: Store) -> None:
    store.begin("a")
    with pytest.raises(OrderError, match="page 2 cannot be answered yet; the next one is page 1"):
        store.answer(0, 1, value=1, heard_s=1)
    for position in (0, 0, 1, 0, 2, 2):
        store.answer(0, position, value=position, heard_s=1)
    with pytest.raises(OrderError, match="page 1 was answered already"):
        store.answer(0, 0, value=5, heard_s=1)
    with pytest.raises(OrderError, match="page 4 cannot be answered"):
        store.answer(0, 3, value=5, heard_s=1)
    assert store.counts() == {"begun": 1, "finished": 1, "answers": 3}


def test_a_code_opens_the_study_once_and_its_use_is_no_link_to_a_rater(folder: StudyFolder, store: Store) -> None:
    store.add_codes(["AAAA-1111", "BBBB-2222"])
    for code, reason in ((None, "needs a code"), ("", "needs a code"), ("CCCC", "no such code")):
        with pytest.raises(CodeError, match=reason):
            store.begin("a", code)
    store.begin("a", "AAAA-1111")
    with pytest.raises(CodeError, match="was used"):
        store.begin("b", "AAAA-1111")
    assert store.counts()["begun"] == 1
    content = b"".join(file.read_bytes() for file in folder.path.glob("answers.sqlite*"))
    assert b"AAAA-1111" not in content


def test_one_process_writes_and_it_may_begin_again(folder: StudyFolder) -> None:
    with Store(folder) as store:
        store.begin("a")
        store.answer(0, 0, value=3, heard_s=1)
        with pytest.raises(StudyError, match=rf"is being served by process {os.getpid()} on .*; stop that one first"):
            Store(folder)
    with Store(folder) as store:
        progress = store.rater("a")
    assert progress is not None
    assert progress.position == 1


def test_a_design_that_was_changed_after_the_start_is_refused(folder: StudyFolder) -> None:
    Store(folder).close()
    design = (folder.path / "design.json").read_text()
    (folder.path / "design.json").write_text(design.replace('"max_failed_checks": 0', '"max_failed_checks": 9'))
    with pytest.raises(StudyError, match=r"design\.json was changed after raters could begin"):
        Store(folder)
    (folder.path / "design.json").write_text(design)
    Store(folder).close()


@pytest.mark.parametrize(
    ("name", "old", "new", "reason"),
    [
        ("design", '"hypotheses": []', '"hypotheses": ["real > none"]', "a hypothesis is not 'A < B' with the names"),
        ("design", '"raters": 2', '"raters": "many"', "raters: Input should be a valid integer"),
        ("sessions", '"b": 1.0', '"d": 1.0', "seconds: the length of the clip b is missing"),
        ("sessions", '"sound_check": [', '"sound_check": [], "_": [', "there is no sound check"),
        ("sessions", '"role": "repeat"', '"role": "encore"', "role: Input should be"),
    ],
)
def test_a_damaged_study_is_refused_in_one_line(
    name: str, old: str, new: str, reason: str, folder: StudyFolder
) -> None:
    path = folder.path / f"{name}.json"
    damaged = path.read_text().replace(old, new)
    assert damaged != path.read_text()
    path.write_text(damaged)
    with pytest.raises(StudyError, match=rf"{name}\.json is damaged: .*{reason}") as caught:
        getattr(folder, name)()
    assert "\n" not in str(caught.value)


def test_damaged_answers_are_refused_in_one_line(folder: StudyFolder) -> None:
    folder.answers.write_bytes(b"no database" * 100)
    with pytest.raises(StudyError, match=r"answers\.sqlite cannot be read: file is not a database"):
        Store(folder)
    with pytest.raises(StudyError, match=r"answers\.sqlite cannot be read"):
        read_answers(folder)


def test_answers_of_a_finished_server_are_one_file_that_can_be_read_anywhere(folder: StudyFolder, store: Store) -> None:
    store.begin("a")
    store.answer(0, 0, value=3, heard_s=1)
    store.close()
    assert [file.name for file in folder.path.glob("answers.sqlite*")] == ["answers.sqlite"]
    folder.path.chmod(0o500)
    try:
        assert len(read_answers(folder)[1]) == 1
    finally:
        folder.path.chmod(0o700)


def test_an_answer_is_synced_before_the_call_returns(store: Store) -> None:
    assert store._file.first_row("PRAGMA synchronous")[0] == 2  # FULL
    assert store._file.first_row("PRAGMA journal_mode")[0] == "wal"


def test_the_file_itself_refuses_a_second_answer_of_a_page(folder: StudyFolder, store: Store) -> None:
    store.begin("a")
    store.answer(0, 0, value=3, heard_s=1)
    file = sqlite3.connect(folder.answers)
    with pytest.raises(sqlite3.IntegrityError):
        file.execute("INSERT INTO answers VALUES (0, 0, 'a', 'rating', 5, 1, '', '')")
    file.close()
