"""What the subcommands share: text, tables, JSON, and how an error ends the program."""

from __future__ import annotations

import dataclasses
import json
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.text import Text

JsonFlag = Annotated[
    bool, typer.Option("--json", help="Print one JSON object on standard output, nothing else.")
]


def op_names() -> list[str]:
    """Return the names of all ops, which a shell completes."""
    from op_builder.registry import all_builders

    return sorted(all_builders())


#: A part of a text. A path is never broken, even if it contains spaces.
Part = str | Path

_PIPE_WIDTH = 100
_INDENT = 2


def console() -> Console:
    """Return standard output for people: text is printed as it is, neither wrapped nor styled."""
    return Console(soft_wrap=True, highlight=False, markup=False)


def errors() -> Console:
    """Return standard error."""
    return Console(stderr=True, soft_wrap=True, highlight=False)


def print_json(value: Any) -> None:
    """Print ``value``, which may contain dataclasses and paths, as indented JSON."""
    sys.stdout.write(to_json(value) + "\n")


def to_json(value: Any) -> str:
    """Return ``value``, which may contain dataclasses and paths, as indented JSON."""
    return json.dumps(value, indent=2, default=_plain)


def print_command(command: str, when: str = "", *, indent: int = 0) -> None:
    """Print a command on one line, however long it is, so that it can be copied.

    Args:
        command: The command.
        when: The case that it is for, printed above it as a comment.
        indent: The indentation.
    """
    lines = [f"# {when}"] if when else []
    for line in [*lines, command]:
        console().print(Text(" " * indent + line, style="dim" if line in lines else "bold"))


def print_text(*parts: Part, indent: int = 0, style: str = "") -> None:
    """Print a paragraph, wrapped at the terminal's width or, in a pipe, at 100 columns.

    Without parts, print an empty line.

    A path that does not fit is printed whole, on a line of its own.

    Args:
        parts: Text and paths, to be separated by spaces.
        indent: The indentation of the first line; the following ones are indented further.
        style: A style of rich, such as a colour.
    """
    lines = _fill(parts, _width() - indent - _INDENT) or [""]
    for number, line in enumerate(lines):
        margin = indent + _INDENT * (number > 0)
        console().print(Text((" " * margin + line).rstrip(), style=style))


def print_table(title: str, columns: Sequence[str], rows: Sequence[Sequence[Part]]) -> None:
    """Print rows of which the last cell may be long, and may have several lines.

    If one of the last cells does not fit beside the others, they are all printed below their rows.
    """
    widths = [max(len(str(row[i])) for row in [columns, *rows]) for i in range(len(columns) - 1)]
    beside = sum(widths) + _INDENT * (len(widths) + 1)
    available = _width() - beside
    lines = [line for row in (columns, *rows) for line in str(row[-1]).splitlines()]
    fits = all(len(line) <= available for line in lines)
    out = console()
    out.print(Text(title, style="bold"))
    heading = columns if fits else (*columns[:-1], "")
    for row in [heading, *rows]:
        cells = [f"{cell!s:<{width}}" for cell, width in zip(row, widths, strict=False)]
        start = " " * _INDENT + "".join(f"{cell:<{len(cell) + _INDENT}}" for cell in cells)
        lines = list(_lines(row[-1], available if fits else _width() - 3 * _INDENT))
        if fits:
            text = f"\n{' ' * beside}".join(lines)
            out.print(Text((start + text).rstrip(), style="dim" if row is heading else ""))
        else:
            out.print(Text(start.rstrip(), style="dim" if row is heading else ""))
            for line in lines:
                out.print(Text(" " * 3 * _INDENT + line))


def print_tree(content: dict[str, Any], indent: int = 0) -> None:
    """Print nested dicts and lists, one value per line; a text of several lines keeps them."""
    for name, value in content.items():
        if isinstance(value, dict) and value:
            print_text(f"{name}:", indent=indent)
            print_tree(value, indent + _INDENT)
            continue
        lines = value if isinstance(value, list) else str(value).splitlines()
        if len(lines) > 1:
            print_text(f"{name}:", indent=indent)
            for line in map(str, lines):
                own_indent = len(line) - len(line.lstrip())
                print_text(line, indent=indent + _INDENT + own_indent)
        else:
            print_text(f"{name}:", *(map(str, lines) if value else ["-"]), indent=indent)


def _lines(cell: Part, width: int) -> Iterator[str]:
    for part in [cell] if isinstance(cell, Path) else cell.splitlines():
        yield from _fill([part], width)


def _fill(parts: Sequence[Part], width: int) -> list[str]:
    lines: list[str] = []
    for part in parts:
        for word in [str(part)] if isinstance(part, Path) else part.split():
            if lines and len(lines[-1]) + 1 + len(word) <= width:
                lines[-1] += f" {word}"
            else:
                lines.append(word)
    return lines


def _width() -> int:
    return Console().width if sys.stdout.isatty() else _PIPE_WIDTH


def fail(message: str) -> typer.Exit:
    """Print an error on standard error; return the exception to raise."""
    errors().print(Text.assemble(("error:", "bold red"), " ", message))
    return typer.Exit(1)


def _plain(value: Any) -> Any:
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return dataclasses.asdict(value)
    if isinstance(value, Path):
        return str(value)
    raise TypeError(f"{type(value).__name__} cannot be written as JSON")
