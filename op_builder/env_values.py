"""How the values of environment variables are parsed.

Each function returns the value of a text, or raises ValueError with what the text must be.
"""

from __future__ import annotations

import os
import re
from pathlib import Path

_LEVELS = ("DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL")


def boolean(text: str) -> bool:
    """Parse 0 or 1, or a word for it."""
    lowered = text.strip().lower()
    if lowered in ("1", "true", "yes", "on"):
        return True
    if lowered in ("0", "false", "no", "off"):
        return False
    raise ValueError("0 or 1")


def positive(text: str) -> int:
    """Parse a positive whole number."""
    if not text.strip().isdecimal() or int(text) < 1:
        raise ValueError("a positive whole number")
    return int(text)


def seconds(text: str) -> float:
    """Parse a number of seconds, 0 or more."""
    try:
        seconds = float(text)
    except ValueError:
        seconds = -1.0
    if not seconds >= 0:
        raise ValueError("a number of seconds, 0 or more")
    return seconds


def version(text: str) -> str:
    """Parse a version."""
    if not re.fullmatch(r"\d+([.-]\w+)*", text):  # it becomes part of a folder name
        raise ValueError("a version like 9.1.0 or 8.3.RC1")
    return text


def absolute(text: str) -> Path:
    """Parse an absolute path."""
    try:
        path = Path(text).expanduser()
    except RuntimeError as error:  # ~nobody_by_this_name
        raise ValueError("an absolute path, or one that begins with a user's home") from error
    if not path.is_absolute():
        raise ValueError("an absolute path")
    return path


def folder(text: str) -> Path:
    """Parse a folder that need not exist yet."""
    path = absolute(text)
    if os.path.exists(path) and not os.path.isdir(path):  # noqa: PTH110, PTH112 - on every hit
        raise ValueError("a folder")
    return path


def existing_folder(text: str) -> Path:
    """Parse a folder that exists."""
    path = absolute(text)
    if not os.path.isdir(path):  # noqa: PTH112 - runs on every cache hit
        raise ValueError("a folder that exists")
    return path


def command(text: str) -> str:
    """Parse a command for a shell, or the path of one program."""
    import shlex  # not needed by most cache hits, like in the modules that they import

    if "\n" in text.strip():  # ninja cannot express it
        raise ValueError("a command on one line")
    if os.sep in text and os.path.isfile(text):  # noqa: PTH113 - runs on every cache hit
        return shlex.quote(text)  # one program whose path has a space or a quote
    try:
        shlex.split(text)
    except ValueError as error:
        raise ValueError(f"a valid shell command ({error})") from error
    return text.strip()


def names(text: str) -> tuple[str, ...]:
    """Parse names of environment variables."""
    names = tuple(filter(None, re.split(r"[\s,]+", text)))
    if not all(re.fullmatch(r"\w+", name) for name in names):
        raise ValueError("names of environment variables, separated by commas")
    return names


def async_io_backend(text: str) -> str:
    """Parse the name of a backend of asynchronous file I/O."""
    backend = text.strip().lower()
    if backend not in ("auto", "io_uring", "libaio", "threads"):
        raise ValueError("auto, io_uring, libaio or threads")
    return backend


def url(text: str) -> str:
    """Parse a URL, or the absolute path of a folder."""
    if not (re.match(r"[\w+.-]+:", text) and "://" in text) and not text.startswith("/"):
        raise ValueError("a URL like s3://bucket/folder or https://host/folder")
    from urllib.parse import urlsplit  # only for a cache miss

    try:
        urlsplit(text)
    except ValueError as error:
        raise ValueError(f"a valid URL ({error})") from error
    return text.strip()


def keys(text: str) -> tuple[str, ...]:
    """Parse a list of keys and paths of key files."""
    items = (item.strip() for item in re.split(r"[,:\n]", text))  # base64 has none of these
    return tuple(filter(None, items))


def level(text: str) -> str:
    """Parse a log level."""
    level = text.strip().upper()
    if level not in _LEVELS:
        raise ValueError(f"one of {', '.join(_LEVELS)}")
    return level
