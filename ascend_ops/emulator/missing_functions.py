"""What to do about an aclnn function that is not emulated, said where its error is.

torch_npu raises the error, from C++, and names the function; here is added where it would have to
be. Imports nothing of this package: a program that was started by ``ascend-ops emulate`` loads this
file before its own first line.
"""

from __future__ import annotations

import re
import sys
import threading
from types import TracebackType

_MISSING = re.compile(r"(acl\w+) or \1GetWorkspaceSize not in libopapi\.so")
_installed = False


def advice(text: str) -> str | None:
    """Where to add the function that an error's text says is missing; None for other errors."""
    found = _MISSING.search(text)
    if found is None:
        return None
    name = found[1]
    return (
        f"ascend_ops: {name} is not emulated. To add it: a row ATEN({name}, ...) or a body "
        f"ACLNN({name}, ...) in the file of its family in csrc/emulator/ops/, and its line in "
        "tests/emulator/checked_by_opinfo.py or checked_by_tests.py; see 'Adding an operator' in "
        "docs/emulator.md."
    )


def install() -> None:
    """Add the advice to uncaught exceptions of this process, of any thread. Once is enough."""
    global _installed
    if _installed:
        return
    _installed = True
    previous, of_threads = sys.excepthook, threading.excepthook

    def hook(
        kind: type[BaseException], error: BaseException, traceback: TracebackType | None
    ) -> None:
        previous(kind, error, traceback)
        _say(error)

    def thread_hook(arguments: threading.ExceptHookArgs) -> None:
        of_threads(arguments)
        _say(arguments.exc_value)

    sys.excepthook, threading.excepthook = hook, thread_hook


def _say(error: BaseException | None) -> None:
    text = advice(str(error))
    if text is not None:
        print(text, file=sys.stderr)  # noqa: T201 - below the traceback that it is about
