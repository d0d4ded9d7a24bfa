"""Loading an op at its first use, with a progress bar on a terminal."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from op_builder.builder import OpBuilder

if TYPE_CHECKING:
    from op_builder.jit.run_ninja import Progress, ProgressListener

#: A builder returns the same module in every call. Every step of an optimizer needs it.
_modules: dict[type[OpBuilder], Any] = {}


def load(builder: type[OpBuilder]) -> Any:
    """Return the op's module, building it first if it is not cached.

    A build shows its progress if standard error is a terminal.
    """
    module = _modules.get(builder)
    if module is None:
        with build_progress() if _on_terminal() else contextlib.nullcontext() as on_progress:
            module = _modules[builder] = builder().load(on_progress=on_progress)
    return module


def _on_terminal() -> bool:
    """Return whether standard error is a terminal; daemons and notebooks replace or close it."""
    try:
        return bool(sys.stderr.isatty())
    except (AttributeError, ValueError):
        return False


@contextlib.contextmanager
def build_progress() -> Iterator[ProgressListener]:
    """Show one progress bar per build on standard error, from its first compiled file on."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn
    from rich.progress import Progress as Bars

    columns = (
        TextColumn("building [bold]{task.fields[op]}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TextColumn("{task.description}"),
    )
    with Bars(*columns, console=Console(stderr=True)) as bars:
        tasks = {}

        def on_progress(progress: Progress) -> None:
            if progress.op not in tasks:
                tasks[progress.op] = bars.add_task("", total=progress.total, op=progress.op)
            bars.update(
                tasks[progress.op],
                completed=progress.done,
                total=progress.total,
                description=progress.step,
            )

        yield on_progress
