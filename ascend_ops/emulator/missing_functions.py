"""Adds advice to the error about an aclnn function that is not emulated.

torch_npu raises the error in C++ and names the function; the advice names the place to add it. This
file imports nothing of the package, because a program that ``ascend-ops emulate`` starts loads it
before its own first line.
"""

from __future__ import annotations

import re
import sys
import threading
from types import TracebackType

_MISSING = re.compile(r"(acl\w+) or \1GetWorkspaceSize not in libopapi\.so")
_installed = False


def advice(text: str) -> str | None:
    """Return where to add the function that an error reports as missing; None for other errors."""
    found = _MISSING.search(text)
    if found is None:
        return None
    name = found[1]
    return (
        f"ascend_ops: {name} is not emulated. To add it, write a row ATEN({name}, ...) or a body "
        f"ACLNN({name}, ...) in the file of its family in csrc/emulator/ops/ and add its line to "
        "tests/emulator/checked_by_opinfo.py or tests/called_functions.py; see 'Adding an "
        "operator' in docs/emulator.md."
    )


def install() -> None:
    """Print the advice below uncaught exceptions of all threads. Later calls do nothing."""
    global _installed
    if _installed:
        return
    _installed = True
    previous, of_threads = sys.excepthook, threading.excepthook

    def hook(
        kind: type[BaseException], error: BaseException, traceback: TracebackType | None
    ) -> None:
        previous(kind, error, traceback)
        _print_advice(error)

    def thread_hook(arguments: threading.ExceptHookArgs) -> None:
        of_threads(arguments)
        _print_advice(arguments.exc_value)

    sys.excepthook, threading.excepthook = hook, thread_hook


def _print_advice(error: BaseException | None) -> None:
    text = advice(str(error))
    if text is not None:
        print(text, file=sys.stderr)  # noqa: T201 - below the traceback
