"""Every error that this project raises on purpose, under one root.

Each error carries as attributes what a caller needs in order to act on it. Its message states what
failed, what was found, where it was looked up, and what to do. The exception that caused it is its
``__cause__``.
"""

from __future__ import annotations

import signal
from collections.abc import Sequence
from pathlib import Path
from typing import Any


class AscendOpsError(Exception):
    """The root of all errors of ascend_ops and op_builder.

    Example:
        >>> from op_builder import AscendOpsError, builder_of
        >>> try:
        ...     builder_of("no_such_op").load()
        ... except AscendOpsError as error:
        ...     print(str(error).partition(";")[0])
        unknown op 'no_such_op'
    """

    def __reduce__(self) -> tuple[Any, ...]:
        # By default an exception is pickled with the arguments of Exception.__init__, here the
        # message only, which is not what the constructors of the subclasses take: such an error
        # could not be unpickled when a worker process sends it.
        return _restored, (type(self), self.args, self.__dict__)


def _restored(
    cls: type[AscendOpsError], args: tuple[object, ...], attributes: dict[str, object]
) -> AscendOpsError:
    error = cls.__new__(cls, *args)
    error.args = args
    error.__dict__.update(attributes)
    return error


class EnvironmentVariableError(AscendOpsError, ValueError):
    """The value of an environment variable cannot be parsed."""

    def __init__(self, name: str, value: str, wanted: str) -> None:
        self.name, self.value, self.wanted = name, value, wanted
        super().__init__(f"environment variable {name} must be {wanted}, got {value!r}")


class CommandError(AscendOpsError):
    """A subprocess exited with a non-zero status, timed out or could not be started."""

    def __init__(
        self,
        command: Sequence[str],
        status: int | None,
        output: str,
        timeout: float | None = None,
    ) -> None:
        self.command, self.status, self.timeout = tuple(command), status, timeout
        self.output = shortened(output)
        printed = self.output.strip() or "(no output)"
        ended = ending(status) if timeout is None else f"timed out after {timeout:g} s"
        import shlex  # takes a tenth of the time that all imports of a cache hit take

        super().__init__(f"{shlex.join(self.command)}\n{ended}:\n{printed}")


def shortened(text: str, length: int = 32_768) -> str:
    """Return ``text``, or its beginning and its end if it is longer than ``length``.

    Example:
        >>> from op_builder.errors import shortened
        >>> print(shortened("1234567890", 4))
        12
        [6 characters omitted]
        90
    """
    if len(text) <= length:
        return text
    half = length // 2
    return f"{text[:half]}\n[{len(text) - 2 * half} characters omitted]\n{text[-half:]}"


def ending(status: int | None) -> str:
    """Describe how a process ended; ``status`` is None if it did not run to its end."""
    if status is None:
        return "could not be run"
    if status >= 0:
        return f"exited with status {status}"
    try:
        return f"was killed by {signal.Signals(-status).name}"
    except ValueError:
        return f"was killed by signal {-status}"


class Refusal(str):
    """One line of text: a place that was searched, and why it was not used."""


class NotFoundError(AscendOpsError):
    """Something that a build needs is not on this machine; lists every place searched."""

    def __init__(self, wanted: str, refusals: Sequence[str], advice: str) -> None:
        self.wanted, self.refusals, self.advice = wanted, tuple(refusals), advice
        places = "\n".join(f"  - {refusal}" for refusal in refusals) or "  (no place to search)"
        super().__init__(f"{wanted} was not found. Places searched:\n{places}\n{advice}")


class CannNotFoundError(NotFoundError):
    """There is no usable CANN install; see :class:`op_builder.cann.CannInstall`."""


class CompilerNotFoundError(NotFoundError):
    """There is no C++ compiler that is new enough, compiles and links."""


class IncompatibleOpError(AscendOpsError):
    """The op cannot be built on this machine; carries every reason, not only the first."""

    def __init__(self, op: str, reasons: Sequence[str]) -> None:
        self.op, self.reasons = op, tuple(reasons)
        lines = ["  - " + reason.replace("\n", "\n    ") for reason in self.reasons]
        super().__init__("\n".join([f"{op} cannot be built on this machine:", *lines]))


class UnknownOpError(AscendOpsError, KeyError):
    """No builder has this name."""

    def __init__(self, op: str, known: Sequence[str]) -> None:
        self.op, self.known = op, tuple(known)
        super().__init__(f"unknown op {op!r}; available ops: {', '.join(sorted(known))}")

    def __str__(self) -> str:  # KeyError would print the repr of the message
        return str(self.args[0])


class BuildError(AscendOpsError):
    """Compiling or linking failed; shows the first error, the command and the path of the log.

    Attributes:
        op: The op's name.
        first_error: The first error in the output.
        command: The command that failed.
        log: The file with the output.
        kind: ``diagnostic`` if the compiler refused the op and ``timeout`` if the build took too
            long. In the other kinds the next build may succeed: ``killed``, ``full disk``,
            ``changed`` (a file was written during the build).
    """

    def __init__(
        self, op: str, first_error: str, command: str, log: Path | None, kind: str = "diagnostic"
    ) -> None:
        self.op, self.first_error, self.command, self.log = op, first_error, command, log
        self.kind = kind
        advice = _ADVICE.get(kind, "")
        full_log = f"\nfull log: {log}" if log else ""
        super().__init__(
            f"building {op} failed:\n{first_error}\n{advice}command: {command}{full_log}"
        )

    @property
    def is_transient(self) -> bool:
        """Whether the next build may succeed without a change of the op or of the environment."""
        return self.kind in ("killed", "full disk", "changed")


_ADVICE = {
    "killed": "A signal ended the build. If memory is short, set MAX_JOBS to a lower number.\n",
    "full disk": "Free some space, or set TMPDIR to a folder on another disk.\n",
}


class JitDisabledError(AscendOpsError):
    """The op is neither prebuilt nor cached, and ASCEND_OPS_JIT=0 disables building it."""

    def __init__(
        self, op: str, build_var: str, refusals: Sequence[str], package: str = "ascend_ops"
    ) -> None:
        self.op, self.build_var, self.refusals = op, build_var, tuple(refusals)
        self.package = package
        found = "\n".join(f"  - {refusal}" for refusal in refusals) or "  - no build of it exists"
        super().__init__(
            f"{op} is not available, and ASCEND_OPS_JIT=0 disables building it at run time:\n"
            f"{found}\n"
            f"Build it on a machine that has a compiler, either into the cache (ascend-ops build "
            f"{op}) or into its package ({build_var}=1 pip install --no-build-isolation {package})"
            f", or unset ASCEND_OPS_JIT."
        )


class LoadError(AscendOpsError):
    """A library was built but could not be loaded into this process."""

    def __init__(self, op: str, path: Path, reason: str) -> None:
        self.op, self.path, self.reason = op, path, reason
        super().__init__(f"loading {op} from {path} failed: {reason}")


class CacheError(AscendOpsError):
    """An operation on the build cache failed."""


class UnsafeCacheError(CacheError):
    """Other users could write to a cache folder, whose libraries would run with your rights."""
