"""Remove secrets, names and home paths from text that is published in an issue."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from pathlib import Path

REMOVED = "<removed>"

_SECRET_NAME = re.compile(
    r"token|secret|passw|passphrase|credential|api_?key|access_?key|private|auth|cookie|session|"
    r"_keys?$|_pwd$|^pwd_",
    re.IGNORECASE,
)
_SHORTEST_SECRET = 6
# Texts that are secrets whatever they are the value of.
_SECRETS = (
    # user:password@ in a URL, and parameters of one
    (re.compile(r"(?<=://)[^/\s@\"']+@"), f"{REMOVED}@"),
    (
        re.compile(
            r"(?i)([?&](?:[\w-]*(?:token|key|secret|sign|signature|password|credential)[\w-]*)=)"
            r"[^&\s\"']+"
        ),
        rf"\1{REMOVED}",
    ),
    (re.compile(r"(?i)\b(bearer|basic)\s+[\w.~+/=-]{8,}"), rf"\1 {REMOVED}"),
    (re.compile(r"(?i)\b((?:[\w-]*(?:password|passwd|secret|token|api[_-]?key)))(\s*[=:]\s*)\S+"),
     rf"\1\2{REMOVED}"),
    (re.compile(r"\b(?:hf|gh[pousr]|github_pat|glpat|xox\w|pypi|sk|npm)[_-][\w-]{16,}"), REMOVED),
    (re.compile(r"\b(?:AKIA|ASIA|LTAI)[A-Z0-9a-z]{12,}"), REMOVED),
    (re.compile(r"\beyJ[\w-]{8,}\.[\w-]{8,}\.[\w-]*"), REMOVED),
    (
        re.compile(r"-----BEGIN [A-Z ]*PRIVATE KEY-----.*?(?:-----END [A-Z ]*PRIVATE KEY-----|\Z)",
                   re.DOTALL),
        REMOVED,
    ),
    (re.compile(r"\b[\w.+-]+@[\w-]+(?:\.[\w-]+)+\b"), "<email>"),
)  # fmt: skip
_OTHER_HOME = re.compile(r"/home/(?!<)[^/\s:\"'`,;)]+")


def is_secret(name: str) -> bool:
    """Return whether the value of a variable is a secret, by its name.

    Example:
        >>> from ascend_ops.doctor.redaction import is_secret
        >>> is_secret("HF_TOKEN"), is_secret("LD_LIBRARY_PATH")
        (True, False)
    """
    return _SECRET_NAME.search(name) is not None


def redact(text: str, environ: Mapping[str, str], home: Path | None, host: str = "") -> str:
    """Return ``text`` without secrets, homes, and the names of the user and the machine.

    Args:
        text: What is to be published.
        environ: The environment; the values of its secret variables are removed wherever they
            appear.
        home: The user's home, which becomes ``~``.
        host: The machine's name.
    """
    values = {value for name, value in environ.items() if is_secret(name)}
    for value in sorted(values, key=len, reverse=True):
        if len(value) >= _SHORTEST_SECRET:
            text = text.replace(value, REMOVED)
    for pattern, replacement in _SECRETS:
        text = pattern.sub(replacement, text)
    for folder in _spellings(home):
        text = re.sub(rf"{re.escape(folder)}(?![\w.-])", "~", text)
    text = _OTHER_HOME.sub("/home/<user>", text)
    names = {environ.get("USER", ""), environ.get("LOGNAME", ""), home.name if home else ""}
    for name in names - {"root", "home", ""}:
        if len(name) > 2:
            text = re.sub(rf"(?<![\w-]){re.escape(name)}(?![\w-])", "<user>", text)
    if len(host) > 2 and host != "localhost":
        text = re.sub(rf"(?<![\w-]){re.escape(host)}(?![\w-])", "<host>", text)
    return text


def _spellings(home: Path | None) -> list[str]:
    """Return the home as it is written and as links resolve it, the longer first."""
    if home is None or home == Path("/"):
        return []
    return sorted({str(home), os.path.realpath(home)}, key=len, reverse=True)
