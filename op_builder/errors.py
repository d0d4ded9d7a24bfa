"""Every error this package raises on purpose, under one root.

Each carries, as attributes, what a caller needs to act on it, and renders as: what was wanted,
what was found, where it was looked for, what to do. The exception that caused it is kept as
``__cause__``.
"""

from __future__ import annotations

import shlex
import signal
from collections.abc import Sequence
from pathlib import Path
from typing import Any


class AscendOpsError(Exception):
    """Root of all errors of ascend_ops and op_builder."""

    def __reduce__(self) -> tuple[Any, ...]:
        # Pickled by its constructor's arguments, an error cannot come back from a worker process:
        # Exception keeps the message only.
        return _restored, (type(self), self.args, self.__dict__)


def _restored(
    cls: type[AscendOpsError], args: tuple[object, ...], attributes: dict[str, object]
) -> AscendOpsError:
    error = cls.__new__(cls, *args)
    error.args = args
    error.__dict__.update(attributes)
    return error


class EnvironmentVariableError(AscendOpsError, ValueError):
    """An environment variable holds something that cannot be read as its type."""

    def __init__(self, name: str, value: str, wanted: str) -> None:
        self.name, self.value, self.wanted = name, value, wanted
        super().__init__(f"environment variable {name}={value!r}: expected {wanted}")


class CommandError(AscendOpsError):
    """A subprocess ended with a non-zero status, or could not be started."""

    def __init__(self, command: Sequence[str], status: int | None, output: str) -> None:
        self.command, self.status, self.output = tuple(command), status, output
        said = output.strip() or "(no output)"
        super().__init__(f"{shlex.join(self.command)}\n{ending(status)}:\n{said}")


def ending(status: int | None) -> str:
    """How a process ended, in words; None where it never ran to its end."""
    if status is None:
        return "could not be run"
    if status >= 0:
        return f"ended with status {status}"
    try:
        return f"was killed by {signal.Signals(-status).name}"
    except ValueError:
        return f"was killed by signal {-status}"


class Refusal(str):
    """One place that was looked at and why it was not taken, as one line of text."""


class NotFoundError(AscendOpsError):
    """Something the build needs is not on this machine; lists every place looked at."""

    def __init__(self, wanted: str, refusals: Sequence[str], advice: str) -> None:
        self.wanted, self.refusals, self.advice = wanted, tuple(refusals), advice
        places = "\n".join(f"  - {refusal}" for refusal in refusals) or "  (nowhere to look)"
        super().__init__(f"{wanted} was not found. Looked at:\n{places}\n{advice}")


class CannNotFoundError(NotFoundError):
    """No usable CANN install; see :class:`op_builder.cann.CannInstall`."""


class CompilerNotFoundError(NotFoundError):
    """No C++ compiler that is new enough, compiles and links."""


class IncompatibleOpError(AscendOpsError):
    """The op cannot be built here; carries every reason, not only the first."""

    def __init__(self, op: str, reasons: Sequence[str]) -> None:
        self.op, self.reasons = op, tuple(reasons)
        lines = ["  - " + reason.replace("\n", "\n    ") for reason in self.reasons]
        super().__init__("\n".join([f"{op} cannot be built on this machine:", *lines]))


class UnknownOpError(AscendOpsError, KeyError):
    """No builder has this name."""

    def __init__(self, op: str, known: Sequence[str]) -> None:
        self.op, self.known = op, tuple(known)
        super().__init__(f"there is no op named {op!r}; there are: {', '.join(sorted(known))}")

    def __str__(self) -> str:  # KeyError would print the repr of the message
        return str(self.args[0])


class BuildError(AscendOpsError):
    """Compiling or linking failed; shows the first error, the command and the log's path."""

    def __init__(self, op: str, first_error: str, command: str, log: Path | None) -> None:
        self.op, self.first_error, self.command, self.log = op, first_error, command, log
        where = f"\nfull log: {log}" if log else ""
        super().__init__(f"building {op} failed:\n{first_error}\ncommand: {command}{where}")


class JitDisabledError(AscendOpsError):
    """The op is not prebuilt and not cached, and ASCEND_OPS_JIT=0 forbids building it."""

    def __init__(
        self, op: str, build_var: str, refusals: Sequence[str], package: str = "ascend_ops"
    ) -> None:
        self.op, self.build_var, self.refusals = op, build_var, tuple(refusals)
        self.package = package
        found = "\n".join(f"  - {refusal}" for refusal in refusals) or "  - no build of it anywhere"
        super().__init__(
            f"{op} is not available and ASCEND_OPS_JIT=0 forbids building it here:\n{found}\n"
            f"Build it where there is a compiler, either into the cache (ascend-ops build {op}) "
            f"or into its package ({build_var}=1 pip install --no-build-isolation {package}), "
            f"or unset ASCEND_OPS_JIT."
        )


class LoadError(AscendOpsError):
    """A built library could not be loaded into this process."""

    def __init__(self, op: str, path: Path, reason: str) -> None:
        self.op, self.path, self.reason = op, path, reason
        super().__init__(f"loading {op} from {path} failed: {reason}")


class CacheError(AscendOpsError):
    """The cache cannot be used as asked."""


class UnsafeCacheError(CacheError):
    """A cache folder that somebody else could write to; a library from there would be code."""
