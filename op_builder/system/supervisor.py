"""Run one command, and end every process of it when the process that started this one is gone.

    python -I -S supervisor.py PARENT ALIVE STATUS PROGRAM [ARGUMENT...]

``PARENT`` is the process that started this one. Through the pipe ``ALIVE`` it sends the program's
environment, since this Python may need another one to start; the pipe's end is that of the parent.
The exit status goes to the pipe ``STATUS``.

A killed process cannot end its children, and ninja puts each compiler in a process group of its
own, so killing a group does not reach them either. This process leads a session of its own, which
all of them are in, and which :func:`end_session` empties. A daemon that a compiler launcher starts,
for example sccache's server, creates a session of its own and is left alone.

The status goes through a pipe, because a host program may ignore SIGCHLD or reap all children;
Python then reports status 0 for a compiler that failed.

It runs as a script: it starts in 20 ms, since it imports nothing but what the interpreter has.
"""

from __future__ import annotations

import os
import select
import signal
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress

_PARENT_POLL_MS = 200
_SESSION_POLL_SECONDS = 0.005
# After SIGTERM, compilers delete their temporary files; that takes a few milliseconds.
TERM_SECONDS = 0.4
_KILL_SECONDS = 10.0
_ENDING = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
# Python ignores these two; no other program expects that.
_IGNORED_BY_PYTHON = (signal.SIGPIPE, signal.SIGXFSZ)


def members_of(session: int) -> list[int]:
    """Return the processes of a session that still run, without its leader."""
    found = []
    for name in os.listdir("/proc"):  # noqa: PTH208 - pathlib takes as long as the whole scan
        if not name.isdecimal() or int(name) == session:
            continue
        try:
            with open(f"/proc/{name}/stat", "rb") as stream:  # noqa: PTH123
                fields = stream.read().rpartition(b")")[2].split()
        except OSError:  # it ended meanwhile
            continue
        if int(fields[3]) == session and fields[0] not in (b"Z", b"X"):
            found.append(int(name))
    return found


def end_session(session: int) -> None:
    """End all processes of a session but its leader, with SIGTERM first and then with SIGKILL.

    A process may start another one behind the back of a scan, so that only the second empty scan
    in a row counts.
    """
    started = time.monotonic()
    empty_scans, signaled = 0, 0
    while empty_scans < 2 and (elapsed := time.monotonic() - started) < _KILL_SECONDS:
        members = members_of(session)
        empty_scans = 0 if members else empty_scans + 1
        wanted = signal.SIGTERM if elapsed < TERM_SECONDS else signal.SIGKILL
        if wanted == signal.SIGKILL or not signaled:
            for pid in members:
                with suppress(ProcessLookupError, PermissionError):
                    os.kill(pid, wanted)
            signaled += len(members)
        if members:
            time.sleep(_SESSION_POLL_SECONDS)


def _environment(descriptor: int) -> dict[bytes, bytes]:
    """Read an environment in the form of /proc/PID/environ, after a line with its length."""
    with os.fdopen(descriptor, "rb", closefd=False) as stream:
        content = stream.read(int(stream.readline() or 0))
    pairs = [line.partition(b"=") for line in content.split(b"\0") if line]
    return {name: value for name, _, value in pairs}


def _start(command: Sequence[str], environ: Mapping[bytes, bytes], status: int) -> int:
    """Start the command; if that fails, write ``errno N`` to ``status``."""
    child = os.fork()
    if child:
        return child
    try:
        for number in (*_IGNORED_BY_PYTHON, *_ENDING, signal.SIGCHLD):
            if number not in _ENDING or signal.getsignal(number) is not signal.SIG_IGN:
                signal.signal(number, signal.SIG_DFL)
        signal.set_wakeup_fd(-1)
        os.umask(os.umask(0o077) & 0o077)  # a compiler cannot read its own files with 777
        os.execvpe(command[0], list(command), environ)  # noqa: S606 - a shell is not intended
    except OSError as error:
        os.write(status, b"errno %d\n" % (error.errno or 0))
    finally:
        os._exit(127)


def _ended(child: int) -> int | None:
    """Return the exit status of ``child``, negative for a signal; None if it still runs."""
    while True:
        pid, status = os.waitpid(-1, os.WNOHANG)
        if pid == child:
            return os.waitstatus_to_exitcode(status)
        if pid == 0:
            return None


def _reap() -> None:
    """Reap all children that have ended, since an init process that does not is common."""
    with suppress(ChildProcessError):
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass


def _ignore(number: int, frame: object) -> None:
    """Let the signal wake the poll."""


def supervise(
    parent: int, alive: int, status: int, environ: Mapping[bytes, bytes], command: Sequence[str]
) -> None:
    """Run ``command`` to its end, or end it when the parent is gone or a signal arrives."""
    for descriptor in (alive, status):
        os.set_inheritable(descriptor, False)
    waking, woken = os.pipe()
    os.set_blocking(woken, False)
    signal.set_wakeup_fd(woken, warn_on_full_buffer=False)
    signal.signal(signal.SIGCHLD, _ignore)
    for number in _ENDING:
        if signal.getsignal(number) is not signal.SIG_IGN:  # nohup ignores SIGHUP
            signal.signal(number, _ignore)
    child = _start(command, environ, status)
    poll = select.poll()
    poll.register(alive, select.POLLIN)
    poll.register(waking, select.POLLIN)
    code = None
    while code is None:
        ready = dict(poll.poll(_PARENT_POLL_MS))
        received = os.read(waking, 4096) if waking in ready else b""
        # The pipe stays open if another thread of the parent has forked meanwhile.
        is_orphan = alive in ready or os.getppid() != parent
        code = _ended(child)
        ending = [number for number in _ENDING if number in received]
        if code is None and (is_orphan or ending):
            code = -ending[0] if ending else -signal.SIGKILL
        if code is not None and code < 0:  # a killed ninja leaves its compilers
            end_session(os.getpid())
            _reap()
    with suppress(BrokenPipeError):
        os.write(status, b"status %d\n" % code)


if __name__ == "__main__":
    _parent, _alive, _status = map(int, sys.argv[1:4])
    supervise(_parent, _alive, _status, _environment(_alive), sys.argv[4:])
