"""Servers of remote caches, in child processes, and what they were requested to send."""

from __future__ import annotations

import contextlib
import os
import re
import socket
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from limits import HANG_SECONDS
from sandbox import wait_until

S3_KEYS = {
    "AWS_ACCESS_KEY_ID": "test",
    "AWS_SECRET_ACCESS_KEY": "test",
    "AWS_DEFAULT_REGION": "us-east-1",
}


@dataclass(frozen=True)
class RemoteServer:
    """A running server.

    Attributes:
        url: The URL of the remote cache.
        environ: The variables that its readers need.
        log: The file with a line per request.
    """

    url: str
    environ: dict[str, str]
    log: Path

    @property
    def files_sent(self) -> int:
        """How many files of entries were sent; an entry has three."""
        log = self.log.read_text(encoding="utf-8")
        return len(re.findall(r"GET [^? ]*/1/files/", log))  # "?" begins a listing


@contextlib.contextmanager
def http_server(folder: Path, scratch: Path) -> Iterator[RemoteServer]:
    """Serve ``folder`` with Python's ``http.server``."""
    port = _free_port()
    command = ["-m", "http.server", str(port), "--bind", "127.0.0.1", "--directory", str(folder)]
    with _running(command, port, scratch / "http.log"):
        yield RemoteServer(f"http://127.0.0.1:{port}", {}, scratch / "http.log")


@contextlib.contextmanager
def s3_server(scratch: Path) -> Iterator[RemoteServer]:
    """Run moto's S3 server, with one bucket."""
    port = _free_port()
    endpoint = f"http://127.0.0.1:{port}"
    environ = {**S3_KEYS, "AWS_ENDPOINT_URL": endpoint}
    with _running(["-m", "moto.server", "-p", str(port)], port, scratch / "s3.log"):
        make_bucket = "import s3fs; s3fs.S3FileSystem().mkdir('bucket')"
        subprocess.run(
            [sys.executable, "-c", make_bucket],
            env={**os.environ, **environ},
            check=True,
            timeout=HANG_SECONDS,
        )
        yield RemoteServer("s3://bucket/ops", environ, scratch / "s3.log")


@contextlib.contextmanager
def silent_server() -> Iterator[RemoteServer]:
    """Accept connections, and never answer."""
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen(64)
        url = f"http://127.0.0.1:{listening.getsockname()[1]}"
        yield RemoteServer(url, {}, Path(os.devnull))


@contextlib.contextmanager
def _running(command: Sequence[str], port: int, log: Path) -> Iterator[None]:
    with log.open("wb") as stream:
        child = subprocess.Popen(
            [sys.executable, "-u", *command], stdout=stream, stderr=stream, cwd=log.parent
        )
    try:
        wait_until(lambda: child.poll() is not None or _answers(port), f"{command} answers")
        assert child.poll() is None, log.read_text(encoding="utf-8")
        yield
    finally:
        child.kill()
        child.wait()


def _answers(port: int) -> bool:
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=1):
            return True
    except OSError:
        return False


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
