"""Print a JSON object: each emulated function that a test checks, with the test.

``ascend-ops emulate --coverage`` runs this program. The checks of aclnn functions are those that
test_checked_functions.py lists; for the others, it is the first test file that names the function.
"""

from __future__ import annotations

import json
import re
import sys
from importlib import import_module
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent)]

checked_by_opinfo = import_module("checked_by_opinfo")
called_functions = import_module("called_functions")


def aclnn_checks() -> dict[str, str]:
    """Return the check of each aclnn function."""
    found: dict[str, str] = {}
    for file in sorted(HERE.glob("test_direct_*.py")):
        for name in import_module(file.stem).CHECKED:
            found.setdefault(name, f"`{file.name}`")
    for test, names in called_functions.TESTS.items():
        for name in names.split():
            found.setdefault(f"aclnn{name}", f"`{test.split('/')[-1].partition('[')[0]}`")
    for mode in ("FORWARD", "INPLACE", "GRADIENTS"):
        for entry, names in getattr(checked_by_opinfo, mode).items():
            for name in names.split():
                found.setdefault(f"aclnn{name}", f"OpInfo `{entry}`, {mode.lower()}")
    return found


def names_in_tests() -> dict[str, str]:
    """Return the first test file that names each function of AscendCL and each single operator."""
    found: dict[str, str] = {}
    native = (HERE.parent / "native" / "emulator").glob("*_test.cpp")
    for file in [*sorted(native), *sorted(HERE.glob("test_*.py"))]:
        text = file.read_text(encoding="utf-8")
        for name in re.findall(r"\b(?:acl|Hccl)\w+|(?<=\")[A-Z]\w+(?=\")", text):
            found.setdefault(name, f"`{file.name}`")
    return found


if __name__ == "__main__":
    sys.stdout.write(json.dumps({**names_in_tests(), **aclnn_checks()}))
