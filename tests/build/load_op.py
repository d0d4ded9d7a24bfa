"""Load one op in a separate process, and print the outcome as JSON.

    python load_op.py PROJECT module:Class STATEMENT EXPRESSION

``PROJECT`` is the folder that contains ``module``. The statement runs first; the expression is the
op's value, computed from what was ``loaded`` and from the ``module`` that declares it. An audit
hook, which Python calls for every subprocess, fork, lock and open file, records what the process
does.
"""

from __future__ import annotations

import importlib
import json
import os
import sys
from collections.abc import Mapping

PROCESS_EVENTS = frozenset(
    {
        "subprocess.Popen",
        "os.fork",
        "os.forkpty",
        "os.exec",
        "os.posix_spawn",
        "os.spawn",
        "os.system",
        "os.startfile",
    }
)
LOCK_EVENTS = frozenset({"fcntl.flock", "fcntl.lockf"})
WRITE_FLAGS = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND

processes: list[str] = []
locks: list[str] = []
read: list[str] = []
written: list[str] = []


def observe(event: str, arguments: tuple[object, ...]) -> None:
    """Record an event; this is the audit hook."""
    if event in PROCESS_EVENTS:
        processes.append(f"{event} {arguments[0] if arguments else ''!s}")
    elif event in LOCK_EVENTS:
        locks.append(event)
    elif event == "open" and isinstance(arguments[0], (str, bytes)):
        flags = arguments[2]
        writes = isinstance(flags, int) and bool(flags & WRITE_FLAGS)
        (written if writes else read).append(os.fsdecode(arguments[0]))
    elif event in ("os.rename", "os.mkdir", "os.remove", "os.rmdir", "os.symlink", "os.utime"):
        written.append(f"{event} {arguments[0]!s}")


def outcome(builder: str, expression: str) -> Mapping[str, object]:
    """Return the result of loading and calling the op."""
    from op_builder.errors import AscendOpsError

    path, _, name = builder.partition(":")
    module = importlib.import_module(path)
    try:
        loaded = getattr(module, name)().load()
    except AscendOpsError as error:
        facts = {key: str(value) for key, value in vars(error).items()}
        return {"error": type(error).__name__, "message": str(error), "facts": facts}
    library = getattr(loaded, "__file__", None) or getattr(loaded, "_name", None)
    value = eval(expression, {"loaded": loaded, "module": module})
    return {"value": value, "library": library}


def main() -> None:
    """Install the hook, load the op, print the outcome."""
    project, builder, statement, expression = sys.argv[1:]
    sys.path.insert(0, project)
    exec(statement, {"sys": sys, "os": os})
    sys.addaudithook(observe)
    found = dict(outcome(builder, expression))
    seen = {"processes": processes, "locks": locks, "read": read, "written": written}
    sys.stdout.write(json.dumps({**found, **{key: list(value) for key, value in seen.items()}}))


if __name__ == "__main__":
    main()
