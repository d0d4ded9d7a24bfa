"""Download files with fsspec, one per line of standard input.

    python reader.py URL

It prints ``{"status": "ready"}`` as soon as the driver of the URL is imported; a driver may connect
as soon as it is used, so that belongs to the first request. A line is an object
with the ``name`` of a file below the URL, the ``file`` to write and the ``limit`` of its size; the
answer is an object whose ``status`` is ``ok``, ``missing``, ``error`` or, for a file that is too
large, ``huge``.

It runs as a script, in a process that can be ended at any moment: a driver starts threads and opens
connections, and may hang in a name server's answer, which would block the exit of a program.
"""

from __future__ import annotations

import sys

# The folder of this file has modules whose names may hide those of other packages.
sys.path[:] = [path for path in sys.path if path != __file__.rpartition("/")[0]]

import json  # noqa: E402
import os  # noqa: E402
import resource  # noqa: E402
from pathlib import Path  # noqa: E402
from typing import Any  # noqa: E402


def _reason(error: BaseException) -> str:
    text = " ".join(str(error).split())
    return f"{type(error).__name__}: {text}" if text else type(error).__name__


def _answer(store: Any, root: str, request: dict[str, Any]) -> dict[str, str]:
    """Download one file, and return the answer."""
    # Each driver writes as it reads, so this bounds memory and disk, whatever the server sends.
    limit = int(request["limit"])
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, resource.getrlimit(resource.RLIMIT_FSIZE)[1]))
    try:
        store.get_file(f"{root.rstrip('/')}/{request['name']}", request["file"])
    except FileNotFoundError:
        return {"status": "missing"}
    except Exception as error:  # noqa: BLE001 - drivers raise errors of many kinds
        file = Path(request["file"])
        size = file.stat().st_size if file.exists() else 0
        return {"status": "huge" if size >= limit else "error", "reason": _reason(error)}
    return {"status": "ok"}


def main(url: str) -> None:
    """Answer each line of standard input."""
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    nowhere = os.open(os.devnull, os.O_RDWR)
    for stream in (1, 2):  # for what drivers print
        os.dup2(nowhere, stream)

    def send(answer: dict[str, str]) -> None:
        answers.write(json.dumps(answer) + "\n")
        answers.flush()

    try:
        from fsspec.core import split_protocol, url_to_fs
        from fsspec.registry import get_filesystem_class

        for part in url.split("::"):
            get_filesystem_class(split_protocol(part)[0])
    except ImportError as error:
        send({"status": "absent", "reason": _reason(error)})
        return
    except Exception as error:  # noqa: BLE001
        send({"status": "error", "reason": _reason(error)})
        return
    send({"status": "ready"})
    for line in sys.stdin:
        try:
            store, root = url_to_fs(url)  # the same object in each call
        except Exception as error:  # noqa: BLE001
            send({"status": "error", "reason": _reason(error)})
        else:
            send(_answer(store, root, json.loads(line)))


if __name__ == "__main__":
    main(sys.argv[1])
