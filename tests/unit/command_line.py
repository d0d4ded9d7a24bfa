"""The program ``ascend-ops``, run in the test's process."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest

from ascend_ops.cli import main


@dataclass(frozen=True)
class Outcome:
    """The exit status and the output."""

    status: int
    out: str
    err: str

    @property
    def text(self) -> str:
        """Standard output on one line, for comparing text that was wrapped."""
        return " ".join(self.out.split())

    @property
    def json(self) -> Any:
        """Standard output, parsed as one JSON value."""
        return json.loads(self.out)


CommandLine = Callable[..., Outcome]


def command_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> CommandLine:
    """Return a function that runs the program with its arguments."""

    def run(*arguments: object) -> Outcome:
        monkeypatch.setattr(sys, "argv", ["ascend-ops", *map(str, arguments)])
        capsys.readouterr()
        status: object = 0
        try:
            main.run()
        except SystemExit as end:
            status = end.code
        output = capsys.readouterr()
        assert status is None or isinstance(status, int)
        return Outcome(status or 0, output.out, output.err)

    return run
