"""Load an op many times while another user exchanges folders, and print how the loads ended.

    python exchange.py PROJECT PARENT TRIES

``PARENT`` contains the user's cache in ``mine`` and the attacker's copy of it in ``theirs``. Each
try loads the op in a forked child. Prints a JSON object that counts the results of ``answer()``
and the errors.
"""

from __future__ import annotations

import collections
import ctypes
import importlib
import json
import os
import signal
import sys
from pathlib import Path

from op_builder.errors import AscendOpsError

NOBODY = 65534
RENAME_EXCHANGE = 2
_IN_THE_CURRENT_FOLDER = -100  # AT_FDCWD


def attack(parent: Path) -> int:
    """Start a process of another user that exchanges the two folders over and over."""
    child = os.fork()
    if child:
        return child
    os.setgid(NOBODY)
    os.setuid(NOBODY)
    libc = ctypes.CDLL(None)
    mine, theirs = (os.fsencode(parent / name) for name in ("mine", "theirs"))
    here = _IN_THE_CURRENT_FOLDER
    while True:
        libc.renameat2(here, mine, here, theirs, RENAME_EXCHANGE)


def load_in_child() -> str:
    """Return the op's answer in a forked process, or the error's name."""
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            ended = str(importlib.import_module("answer").AnswerBuilder().load().answer())
        except AscendOpsError as error:
            ended = type(error).__name__
        os.write(writer, ended.encode())
        os._exit(0)
    os.close(writer)
    os.waitpid(child, 0)
    with os.fdopen(reader, encoding="utf-8") as pipe:
        return pipe.read() or "crash"


def main() -> None:
    """Run the attack and the loads."""
    project, parent, tries = sys.argv[1:]
    sys.path.insert(0, project)
    importlib.import_module("answer")
    os.environ["ASCEND_OPS_CACHE_DIR"] = str(Path(parent) / "mine")
    attacker = attack(Path(parent))
    try:
        ends = collections.Counter(load_in_child() for _ in range(int(tries)))
    finally:
        os.kill(attacker, signal.SIGKILL)
        os.waitpid(attacker, 0)
    sys.stdout.write(json.dumps(ends))


if __name__ == "__main__":
    main()
