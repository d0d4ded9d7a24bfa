"""A remote cache in a folder, that folder behind HTTP, and look-ups in it, without a compiler."""

from __future__ import annotations

import contextlib
import http.server
import os
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from cache_entries import Shelf

from op_builder.cache.entry import Entry
from op_builder.cache.layers import Layer
from op_builder.remote import documents
from op_builder.remote.download import Wanted, download
from op_builder.remote.push import Pusher, document_of
from op_builder.remote.signatures import Signer


@dataclass
class Store:
    """A remote cache in a folder, an entry to push to it, and a machine that reads it.

    Attributes:
        shelf: The machine that builds.
        folder: The remote cache.
        layer: The cache of the machine that reads it.
        variables: The environment of that machine, besides this process's.
    """

    shelf: Shelf
    folder: Path
    layer: Layer
    variables: dict[str, str] = field(default_factory=dict)

    @classmethod
    def below(cls, folder: Path) -> Store:
        layer = Layer("user", folder / "reader", shipped=False)
        return cls(Shelf.below(folder / "builder"), folder / "remote", layer)

    @property
    def url(self) -> str:
        return f"file://{self.folder}"

    def push(self, entry: Entry | None = None, signer: Signer | None = None) -> Entry:
        """Push an entry, by default a new one of the shelf."""
        entry = entry or self.shelf.publish()
        pushed = Pusher(self.url, signer).push(entry)
        assert pushed.outcome == "pushed", pushed
        return entry

    def download(self, url: str | None = None, shelf: Shelf | None = None) -> Entry | None:
        """Look the op up, with a time limit that only a test of time limits reaches."""
        shelf = shelf or self.shelf
        environ = {
            **os.environ,
            "ASCEND_OPS_REMOTE_CACHE": url or self.url,
            "ASCEND_OPS_REMOTE_TIMEOUT": "600",
            **self.variables,
        }
        return download(Wanted(shelf.spec, shelf.recipe, shelf.key, (self.layer,), environ))

    def document(self, entry: Entry) -> Path:
        """Return the file of an entry's document."""
        return self.folder / document_of(entry).place.document

    def file(self, entry: Entry, name: str) -> Path:
        """Return the file with the content of one of an entry's files."""
        return self.folder / document_of(entry).files[name].name

    def index(self, entry: Entry) -> Path:
        """Return the file of the index that lists an entry."""
        return self.folder / documents.index_name(entry.manifest.recipe)

    def left_behind(self) -> list[str]:
        """Return the files in the reader's cache, except for its tag."""
        found = [path.name for path in self.layer.root.rglob("*") if path.is_file()]
        return [name for name in found if name != "CACHEDIR.TAG"]


class WritableHandler(http.server.SimpleHTTPRequestHandler):
    """Serves a folder, and writes what is put into it."""

    def log_message(self, format: str, *args: object) -> None:
        """Print nothing."""

    def do_PUT(self) -> None:
        """Write the file of a path."""
        file = Path(self.translate_path(self.path))
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(self.rfile.read(int(self.headers["Content-Length"])))
        self.send_response(201)
        self.send_header("Content-Length", "0")
        self.end_headers()


class Handler(http.server.SimpleHTTPRequestHandler):
    """Serves a folder, and behaves badly for paths that contain ``trigger``."""

    trigger = ""
    fault = ""
    requests: list[str]
    released: threading.Event

    def log_message(self, format: str, *args: object) -> None:
        """Count requests, and print nothing."""
        self.requests.append(self.path)

    def do_GET(self) -> None:
        if not self.fault or self.trigger not in self.path:
            super().do_GET()
            return
        getattr(self, self.fault)()

    def hang(self) -> None:
        """Accept the request, and never answer."""
        self.log_message("")
        self.released.wait()
        self.close_connection = True

    def drip(self) -> None:
        """Send a byte now and then, so that no read times out."""
        self.send_response(200)
        self.send_header("Content-Length", "1000000")
        self.end_headers()
        with contextlib.suppress(OSError):
            while not self.released.wait(0.05):
                self.wfile.write(b" ")
                self.wfile.flush()
        self.close_connection = True

    def fail(self) -> None:
        """Answer as an overloaded server does."""
        self.send_error(503)

    def truncate(self) -> None:
        """Announce more than is sent."""
        content = Path(self.translate_path(self.path)).read_bytes()
        self.send_response(200)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content[: len(content) // 2])
        self.close_connection = True

    def shorten(self) -> None:
        """Send less, without any announcement."""
        content = Path(self.translate_path(self.path)).read_bytes()
        self.send_response(200)
        self.end_headers()
        self.wfile.write(content[: len(content) // 2])
        self.close_connection = True

    def flood(self) -> None:
        """Send without an end."""
        self.send_response(200)
        self.end_headers()
        with contextlib.suppress(OSError):
            while not self.released.is_set():
                self.wfile.write(bytes(1 << 20))
        self.close_connection = True


@contextlib.contextmanager
def served(folder: Path, fault: str = "", trigger: str = "") -> Iterator[tuple[str, list[str]]]:
    """Serve a folder over HTTP; yield the URL and the list of the paths that are requested."""
    requests: list[str] = []
    released = threading.Event()
    members = {"fault": fault, "trigger": trigger, "requests": requests, "released": released}
    with _serving(
        partial(type("FaultyHandler", (Handler,), members), directory=str(folder))
    ) as url:
        try:
            yield url, requests
        finally:
            released.set()


def writable(folder: Path) -> contextlib.AbstractContextManager[str]:
    """Serve a folder that can be written to over HTTP; the context is the URL."""
    return _serving(partial(WritableHandler, directory=str(folder)))


@contextlib.contextmanager
def _serving(handler: Any) -> Iterator[str]:
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
