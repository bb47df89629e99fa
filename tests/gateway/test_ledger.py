"""The ledger as its one writer keeps it: what a reader finds after any interruption."""

from __future__ import annotations

import os
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kronborg.gateway.ledger import MARGIN, Ledger, LedgerHeld, ensure
from kronborg.tokens.feed import Page
from kronborg.tokens.feed_store import Kind, Revocation

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
LATER = NOW + timedelta(hours=2)


def page(*entries: tuple[Kind, str], last: int, reset: bool = False, until: datetime = LATER) -> Page:
    first = last - len(entries) + 1
    revoked = tuple(Revocation(seq, *one, None, until, NOW) for seq, one in enumerate(entries, first))
    return Page(revoked, last, reset, more=False)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "ledger" / "ledger.txt"


def lines(path: Path) -> list[str]:
    return path.read_text().splitlines()


def test_an_entry_is_appended_with_the_number_to_go_on_from(path: Path) -> None:
    ledger = Ledger.open(path)

    ledger.apply(page(("token", "abc"), ("grant", "g-1"), last=7), now=NOW)

    until, beat = int(LATER.timestamp()) + 1, int(NOW.timestamp() * 1000)
    assert lines(path)[-3:] == [f"t {until} 0 abc", f"g {until} 0 g-1", f"h {beat} 7 -"]
    ledger.close()


def test_a_restart_goes_on_where_the_file_was_and_begins_a_new_generation(path: Path) -> None:
    ledger = Ledger.open(path)
    ledger.apply(page(("token", "abc"), last=7), now=NOW)
    generation = lines(path)[0]
    ledger.close()

    again = Ledger.open(path)

    assert (again.after, len(again)) == (7, 1)
    assert lines(path)[0] != generation
    again.close()


def test_only_one_process_writes(path: Path) -> None:
    ledger = Ledger.open(path)

    with pytest.raises(LedgerHeld):
        Ledger.open(path)

    ledger.close()
    Ledger.open(path).close()


@given(subject=st.text(min_size=1, max_size=40))
def test_no_subject_ends_a_line_or_becomes_another_field(
    tmp_path_factory: pytest.TempPathFactory, subject: str
) -> None:
    path = tmp_path_factory.mktemp("ledger") / "ledger.txt"
    subject = subject.encode(errors="ignore").decode() or "x"
    ledger = Ledger.open(path)

    ledger.apply(page(("token", subject), last=1), now=NOW)
    ledger.close()

    assert len(lines(path)) == 4
    assert all(len(line.split(" ")) == 4 for line in lines(path)[1:])
    again = Ledger.open(path)
    assert (len(again), again.after) == (1, 1)
    again.close()


def test_a_line_that_was_torn_off_is_read_from_the_feed_again(path: Path) -> None:
    ledger = Ledger.open(path)
    ledger.apply(page(("token", "abc"), last=1), now=NOW)
    ledger.apply(page(("token", "def"), last=2), now=NOW)
    ledger.close()
    whole = path.read_bytes()
    path.write_bytes(whole[: whole.rindex(b"def") + 1])

    again = Ledger.open(path)

    assert again.after == 1
    assert path.read_text().endswith(" 1 -\n")
    again.close()


def test_a_file_that_is_no_ledger_is_replaced_and_the_feed_read_from_its_beginning(path: Path) -> None:
    path.parent.mkdir()
    path.write_text("nonsense\nt 1 0 abc\n")

    ledger = Ledger.open(path)

    assert (ledger.after, len(ledger)) == (0, 0)
    ledger.close()


def test_a_reset_forgets_revocations_and_keeps_denials(path: Path) -> None:
    ledger = Ledger.open(path)
    ledger.apply(page(("token", "old"), last=50), now=NOW)
    ledger.deny("client|shop", LATER)

    ledger.apply(page(("token", "new"), last=3, reset=True), now=NOW)

    kept = {tuple(line.split()[::3]) for line in lines(path)[1:]}
    assert kept == {("t", "new"), ("d", "client%7Cshop"), ("h", "-")}
    assert ledger.after == 3
    ledger.close()


def test_the_wider_of_two_entries_counts(path: Path) -> None:
    ledger = Ledger.open(path)
    early = Revocation(1, "user", "ana", NOW, LATER, NOW)
    late = Revocation(2, "user", "ana", NOW + timedelta(seconds=9), LATER, NOW)

    for one in (late, early):
        ledger.apply(Page((one,), one.seq, reset=False, more=False), now=NOW)

    assert lines(path)[-2].split()[2] == str(int(late.not_before.timestamp()) if late.not_before else 0)
    ledger.close()


def test_what_is_over_goes_when_the_file_is_written_anew(path: Path) -> None:
    ledger = Ledger.open(path)
    ledger.apply(page(("token", "short"), last=1, until=NOW), now=NOW)
    ledger.deny("a", NOW)

    for number in range(4100):
        ledger.apply(page(last=1), now=NOW + MARGIN + timedelta(seconds=2 + number))

    assert len(ledger) == 0
    assert len(lines(path)) < 100
    ledger.close()


def test_a_denial_is_written_once_and_can_be_lifted(path: Path) -> None:
    ledger = Ledger.open(path)

    ledger.deny("client|shop", LATER)
    ledger.deny("client|shop", LATER)
    ledger.deny("client|shop", NOW)

    written = [line for line in lines(path) if line.startswith("d ")]
    assert [int(line.split()[1]) for line in written] == [int(one.timestamp() * 1000) for one in (LATER, NOW)]
    ledger.close()


def test_a_failed_write_is_made_good_by_the_next_generation(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ledger = Ledger.open(path)
    write = os.write
    monkeypatch.setattr(os, "write", lambda handle, content: write(handle, bytes(content)[: max(1, len(content) // 2)]))

    ledger.apply(page(("token", "abc"), last=1), now=NOW)

    monkeypatch.undo()
    assert lines(path)[-2].endswith(" abc")
    assert lines(path)[-1].endswith(" 1 -")
    ledger.close()


def test_a_new_ledger_says_that_nothing_was_ever_read(path: Path) -> None:
    ensure(path)

    assert lines(path)[0].startswith("kronborg-ledger 1 ")
    assert lines(path)[1:] == ["h 0 0 -"]
    assert path.stat().st_mode & 0o777 == 0o600
