"""Kill builders and their compilers at random, again and again.

    python kill_campaign.py PROJECT CACHE KILLS SEED

In each round, 2 to 8 processes load one op that is not cached, and signals hit any of them, of
their descendants or of their process groups. Then no process may be left, and a new one must load
the op. The processes are forked, so that a round takes half a second. Prints what was killed.
"""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import sys
import time
import traceback
from collections import Counter
from pathlib import Path

SIGNALS = (signal.SIGKILL, signal.SIGKILL, signal.SIGTERM, signal.SIGHUP)
LOADED, WAS_KILLED, FAILED = 0, 3, 4


def load_in_a_fork() -> int:
    """Start a process, in a session of its own, that loads the op."""
    child = os.fork()
    if child:
        return child
    status = FAILED
    try:
        os.setsid()
        from answer import AnswerBuilder  # type: ignore[import-not-found]

        from op_builder.errors import BuildError

        try:
            status = LOADED if AnswerBuilder().load().answer() == 42 else FAILED
        except BuildError as error:
            if error.kind == "killed":
                status = WAS_KILLED
            else:
                traceback.print_exc()
    except BaseException:  # noqa: BLE001 - the parent sees the status only
        traceback.print_exc()
    finally:
        os._exit(status)


def working_in(cache: Path) -> list[int]:
    """Return the supervisors, ninjas and compilers that work in the cache."""
    found = []
    for name in os.listdir("/proc"):  # noqa: PTH208
        if name.isdecimal():
            try:
                folder = os.readlink(f"/proc/{name}/cwd")  # noqa: PTH115
                state = Path(f"/proc/{name}/stat").read_bytes().rpartition(b")")[2].split()[0]
            except OSError:
                continue
            if folder.startswith(f"{cache}/") and state not in (b"Z", b"X"):
                found.append(int(name))
    return found


def hit(chance: random.Random, builders: list[int], cache: Path) -> str | None:
    """Send a signal to one process or group; return what it was, or None if it had ended."""
    number = chance.choice(SIGNALS)
    below = working_in(cache)
    kind = chance.choice(["builder", "child", "child", "group"])
    if kind != "builder" and not below:
        return None
    target = chance.choice(builders if kind == "builder" else below)
    try:
        if kind == "group":
            os.killpg(os.getpgid(target), number)
        else:
            os.kill(target, number)
    except ProcessLookupError:
        return None
    return f"{kind} {number.name}"


def forget_entries(cache: Path) -> None:
    """Delete everything but the memo of the compiler."""
    for place in cache.iterdir():
        if place.is_dir() and place.name != "toolchain":
            shutil.rmtree(place, ignore_errors=True)


def play_round(chance: random.Random, cache: Path, kills: Counter[str]) -> Counter[int]:
    """Kill for one round; return how the processes ended."""
    forget_entries(cache)
    builders = [load_in_a_fork() for _ in range(chance.randint(2, 8))]
    left, ends = set(builders), Counter[int]()
    for _ in range(5 * len(builders)):
        time.sleep(chance.uniform(0, 0.05))
        for pid in list(left):
            ended, status = os.waitpid(pid, os.WNOHANG)
            if ended:
                left.remove(pid)
                ends[os.waitstatus_to_exitcode(status)] += 1
        if not left:
            break
        struck = hit(chance, sorted(left), cache)
        if struck:
            kills[struck] += 1
    for pid in left:
        ends[os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])] += 1
    while working_in(cache):  # the test has a limit for hangs
        time.sleep(0.01)
    last = os.waitstatus_to_exitcode(os.waitpid(load_in_a_fork(), 0)[1])
    assert last == LOADED, f"a new process ended with {last}"
    return ends


def main() -> None:
    """Play rounds until there were enough kills."""
    project, cache, wanted, seed = sys.argv[1:]
    sys.path.insert(0, project)
    import op_builder.jit.publish  # noqa: F401 - imported once, not in each fork

    assert os.waitpid(load_in_a_fork(), 0)[1] == LOADED, "the compiler is remembered"
    chance, kills, ends, rounds = random.Random(int(seed)), Counter[str](), Counter[int](), 0
    while kills.total() < int(wanted):
        ends += play_round(chance, Path(cache), kills)
        rounds += 1
    sys.stdout.write(json.dumps({"kills": kills, "ends": ends, "rounds": rounds}))


if __name__ == "__main__":
    main()
