"""A remote cache as a build sees it: files by name, within a time limit.

fsspec runs in a child process, see :mod:`op_builder.remote.reader`: whatever a server does, the
child is ended when the time is over, and the process that builds has no driver's threads.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

from .. import envs
from ..errors import AscendOpsError, CommandError
from ..system.process import Dialogue, dialogue, interpreter
from ..system.regular_file import read_regular
from . import reader
from .signatures import INSTALL

#: For how long a process does not query a server that failed.
REST_SECONDS = 300.0
#: The limit for loading a driver, which the time limit of the server does not include: on a busy
#: machine it may take seconds that are not the server's.
START_SECONDS = 120.0

_resting: dict[str, float] = {}


class ServerError(AscendOpsError):
    """A remote cache cannot be used; the message is the reason."""


class Server:
    """An open connection to a remote cache."""

    def __init__(self, answers: Dialogue, deadline: float | None) -> None:
        self._answers, self._deadline = answers, deadline

    def get(self, name: str, file: Path, limit: int) -> bool:
        """Download an object.

        Args:
            name: The name of the object.
            file: The file to write.
            limit: The largest size that is accepted, in bytes.

        Returns:
            Whether the object exists.

        Raises:
            ServerError: The server does not answer in time, sends too much, or refuses.
        """
        self._answers.send(json.dumps({"name": name, "file": str(file), "limit": limit}))
        answer = _answer(self._answers, self._deadline)
        if answer.get("status") == "huge":
            raise ServerError(f"{name} has more than {limit} bytes")
        if answer.get("status") not in ("ok", "missing"):
            raise ServerError(f"{name}: {answer.get('reason')}")
        return answer["status"] == "ok"

    def read(self, name: str, file: Path, limit: int) -> bytes | None:
        """Return the content of an object, or None if it does not exist.

        Args:
            name: The name of the object.
            file: The file to write in between.
            limit: The largest size that is accepted, in bytes.

        Raises:
            ServerError: The server does not answer in time, sends too much, or refuses.
        """
        file.unlink(missing_ok=True)
        return read_regular(file, limit) if self.get(name, file, limit) else None


@contextmanager
def connected(url: str, environ: Mapping[str, str]) -> Iterator[Server]:
    """Load the driver of a remote cache; the time limit begins afterwards.

    Raises:
        ServerError: The driver is missing, or refuses the URL.
    """
    seconds = envs.REMOTE_TIMEOUT.get(environ)
    try:
        with dialogue([interpreter(), reader.__file__, url], env=environ) as answers:
            ready = _answer(answers, time.monotonic() + START_SECONDS, "the driver did not start")
            if ready.get("status") == "absent":
                raise ServerError(f"its driver is not installed ({ready.get('reason')}): {INSTALL}")
            if ready.get("status") != "ready":
                raise ServerError(str(ready.get("reason")))
            yield Server(answers, time.monotonic() + seconds if seconds else None)
    except TimeoutError:
        limit = f"{seconds:g} s ({envs.REMOTE_TIMEOUT.name})"
        raise ServerError(f"it did not answer within {limit}") from None
    except CommandError as error:
        raise ServerError(f"its driver ended: {error.output.strip() or error}") from error


def _answer(answers: Dialogue, deadline: float | None, late: str | None = None) -> dict[str, str]:
    try:
        found = json.loads(answers.receive(deadline))
    except TimeoutError:
        if late is None:
            raise
        raise ServerError(f"{late} within {START_SECONDS:g} s") from None
    except ValueError as error:
        raise ServerError(f"its driver printed something else than an answer: {error}") from error
    return found if isinstance(found, dict) else {}


def rests(url: str) -> bool:
    """Return whether a server failed a short while ago, so that it is not queried now."""
    return time.monotonic() < _resting.get(url, 0.0)


def rest(url: str) -> None:
    """Do not query a server for :data:`REST_SECONDS` in this process."""
    _resting[url] = time.monotonic() + REST_SECONDS


def shown(url: str) -> str:
    """Return a URL without the password and the query that it may contain."""
    parts = urlsplit(url)
    host = parts.netloc.rpartition("@")[2]
    return urlunsplit((parts.scheme, host, parts.path, "", "")) if parts.scheme else url
