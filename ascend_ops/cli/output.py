"""What the subcommands share: where text, tables and JSON go, and how an error ends the program."""

from __future__ import annotations

import dataclasses
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

JsonFlag = Annotated[
    bool, typer.Option("--json", help="Print one JSON object on standard output, nothing else.")
]


_PIPE_WIDTH = 10_000


def console() -> Console:
    """Standard output for people; paths are never wrapped in the middle, nor read as markup."""
    return Console(soft_wrap=True, highlight=False, markup=False)


def errors() -> Console:
    """Standard error."""
    return Console(stderr=True, soft_wrap=True, highlight=False)


def print_json(value: Any) -> None:
    """``value`` (dataclasses and paths allowed) as indented JSON."""
    sys.stdout.write(json.dumps(value, indent=2, default=_plain) + "\n")


def print_table(title: str, columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """A table of text; cells are taken as they are, not as markup.

    In a pipe a row is one line, however long, so that `grep` finds names and paths whole.
    """
    table = Table(title=title, title_justify="left", header_style="bold")
    for column in columns:
        table.add_column(column, overflow="fold")
    for row in rows:
        table.add_row(*(Text(cell) for cell in row))
    width = None if sys.stdout.isatty() else _PIPE_WIDTH
    Console(highlight=False, width=width).print(table)


def fail(message: str) -> typer.Exit:
    """Say what is wrong on standard error; to be raised."""
    errors().print(Text.assemble(("error:", "bold red"), " ", message))
    return typer.Exit(1)


def _plain(value: Any) -> Any:
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return dataclasses.asdict(value)
    if isinstance(value, Path):
        return str(value)
    raise TypeError(f"no JSON for {type(value).__name__}")
