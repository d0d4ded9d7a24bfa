"""Builders, supervisors, ninjas and compilers are killed at random, 200 times."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from limits import HANG_SECONDS
from sandbox import Sandbox

CAMPAIGN = Path(__file__).with_name("kill_campaign.py")
KILLS = 210

# Instead of the compiler: takes some time, then gives an object that was compiled once.
FAKE_COMPILE = """#!/bin/sh
set -e
printf 'compile %s %s\\n' "$$" "$PPID" >>"$COMPILE_LOG"
mkdir -p "$MADE"
if [ ! -e "$MADE/answer.o" ]; then
    "$@"
    cp objects/answer.cpp.o "$MADE/answer.o"
    cp objects/answer.cpp.o.d "$MADE/answer.d"
fi
sleep 0.03
cp "$MADE/answer.d" objects/answer.cpp.o.d
cp "$MADE/answer.o" objects/answer.cpp.o
"""


@pytest.mark.parametrize("seed", [20261128])
def test_a_new_process_always_loads_and_no_orphan_lives(sandbox: Sandbox, seed: int) -> None:
    launcher = sandbox.scratch / "fake_compile.sh"
    launcher.write_text(FAKE_COMPILE, encoding="utf-8")
    launcher.chmod(0o755)
    environ = {
        **sandbox.environ,
        "ASCEND_OPS_COMPILER_LAUNCHER": str(launcher),
        "MADE": str(sandbox.scratch / "made"),
    }
    arguments = [str(sandbox.project), str(sandbox.cache), str(KILLS), str(seed)]
    done = subprocess.run(
        [sys.executable, str(CAMPAIGN), *arguments],
        env=environ,
        cwd=sandbox.scratch,
        capture_output=True,
        text=True,
        timeout=HANG_SECONDS,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert sum(found["kills"].values()) >= KILLS
    assert {kind.split()[0] for kind in found["kills"]} == {"builder", "child", "group"}
    unexpected = set(found["ends"]) - {"0", "3", "-1", "-9", "-15"}
    assert not unexpected, done.stderr
