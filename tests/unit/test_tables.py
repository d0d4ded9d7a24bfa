"""Tables of the command line: what stands beside a row, and what below it."""

from __future__ import annotations

import pytest

from ascend_ops.cli.output import print_table

PIPE = 100


def printed(capsys: pytest.CaptureFixture[str], columns: list[str], row: list[str]) -> list[str]:
    print_table("Title", columns, [row])
    return capsys.readouterr().out.splitlines()


def test_a_long_heading_is_left_out_instead_of_wrapped(capsys: pytest.CaptureFixture[str]) -> None:
    lines = printed(capsys, ["op", "by", "why no newer one"], ["rms_norm", "x" * 80, ""])
    assert [line.split() for line in lines] == [["Title"], ["op", "by"], ["rms_norm", "x" * 80]]


def test_a_short_last_cell_is_beside_its_row(capsys: pytest.CaptureFixture[str]) -> None:
    lines = printed(capsys, ["op", "why"], ["rms_norm", "too old"])
    assert [line.split() for line in lines][1:] == [["op", "why"], ["rms_norm", "too", "old"]]


def test_a_long_last_cell_is_below_its_row(capsys: pytest.CaptureFixture[str]) -> None:
    reason = "reason " * 20
    lines = printed(capsys, ["op", "why"], ["rms_norm", reason])
    assert lines[2].split() == ["rms_norm"]
    assert " ".join(lines[3:]).split() == reason.split()
    assert max(map(len, lines)) <= PIPE
