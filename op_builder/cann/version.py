"""CANN's version: how it is written, how two compare, and which file of an install tells it."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import total_ordering
from pathlib import Path

from ..errors import Refusal
from .records import read_fields

_PATTERN = re.compile(
    r"(\d{1,9})\.(\d{1,9})"
    r"(?:\.(RC|T)?(\d{1,9}(?:\.\d{1,9})?)"
    r"(?:[.-](alpha|beta|rc)\.?(\d{1,9})?)?)?",
    re.ASCII | re.IGNORECASE,
)
_THIRD_PART = {"t": 0, "rc": 1, "": 2}
_STAGE = {"alpha": 0, "beta": 1, "rc": 2, "": 3}

_Key = tuple[int, int, int, tuple[int, ...], int, int]


@total_ordering
@dataclass(frozen=True, eq=False)
class CannVersion:
    """A public version such as ``8.3.RC2``, ``8.1.RC1.alpha001``, ``9.2.0-beta.2`` or ``9.0.T501``.

    Alpha, beta and rc come before the version they lead to. Up to 8.3 the third part may be ``RCn``
    and then comes before any number there: 8.0.RC3, then 8.0.0.alpha001, 8.0.0.beta1, 8.0.0, in the
    order in which Ascend released them. ``Tn``, an internal test build, comes before both.
    """

    text: str
    key: _Key = field(repr=False)

    @classmethod
    def parse(cls, text: str) -> CannVersion:
        """Read ``text``; ValueError for anything else, internal versions among it.

        Installs also carry internal versions (``1.83.T8.0.B128``, ``7.6.0.1.220``) that compare
        with nothing public; taking one for a public version would call CANN 8.0.0 a 7.6.
        """
        match = _PATTERN.fullmatch(text)
        if match is None:
            raise ValueError(f"{text!r} is not a public CANN version such as 8.3.RC2 or 9.1.0")
        major, minor, third, numbers, stage, count = match.groups("")
        parts = [int(number) for number in numbers.split(".") if number]
        while parts and parts[-1] == 0:
            del parts[-1]
        key = (
            int(major),
            int(minor),
            _THIRD_PART[third.lower()],
            tuple(parts),
            _STAGE[stage.lower()],
            int(count or 0),
        )
        return cls(text, key)

    @property
    def release_line(self) -> tuple[int, int]:
        """``(8, 3)`` of 8.3.RC2; what a torch_npu release is made for."""
        return self.key[:2]

    def __str__(self) -> str:
        return self.text

    def __eq__(self, other: object) -> bool:
        return self.key == other.key if isinstance(other, CannVersion) else NotImplemented

    def __lt__(self, other: object) -> bool:
        return self.key < other.key if isinstance(other, CannVersion) else NotImplemented

    def __hash__(self) -> int:
        return hash(self.key)


@dataclass(frozen=True)
class VersionReading:
    """The version of an install, what told it, and why the sources before that did not."""

    version: CannVersion | None
    source: Path | str
    refusals: tuple[Refusal, ...] = ()


def _value(fields: Mapping[str, str], key: str) -> str:
    if not fields.get(key):
        raise ValueError(f"has no {key}=")
    return fields[key]


def _from_install_info(fields: Mapping[str, str]) -> str:
    return _value(fields, "version")


def _from_version_info(fields: Mapping[str, str]) -> str:
    return _value(fields, "Version")


def _from_version_cfg(fields: Mapping[str, str]) -> str:
    """``[7.6.0.1.220:8.0.0]`` is ``[internal:public]``."""
    pair = _value(fields, "runtime_running_version")
    _, colon, public = pair.strip("[]").rpartition(":")
    if not colon:
        raise ValueError(f"has runtime_running_version={pair}, not [internal:public]")
    return public


# Best first; {arch} is x86_64-linux or aarch64-linux. Never a pattern: ascend_*_install.info would
# also match the operator package's, and share/info/*/version.info mstx, which says 26.2.0 in a
# CANN of 9.2.0. nnae and nnrt tell a version only where nothing of a toolkit does.
_VERSION_FILES: tuple[tuple[str, Callable[[Mapping[str, str]], str]], ...] = (
    ("{arch}/ascend_toolkit_install.info", _from_install_info),
    ("ascend_toolkit_install.info", _from_install_info),
    ("share/info/runtime/version.info", _from_version_info),
    ("share/info/asc-devkit/version.info", _from_version_info),
    ("share/info/asc_devkit/version.info", _from_version_info),
    ("version.cfg", _from_version_cfg),
    ("runtime/version.info", _from_version_info),
    ("{arch}/ascend_nnae_install.info", _from_install_info),
    ("ascend_nnae_install.info", _from_install_info),
    ("{arch}/ascend_nnrt_install.info", _from_install_info),
    ("ascend_nnrt_install.info", _from_install_info),
)


def _version_files(
    root: Path, arch_folder: str | None
) -> Iterator[tuple[Path, Callable[[Mapping[str, str]], str]]]:
    for name, read in _VERSION_FILES:
        if "{arch}" not in name:
            yield root / name, read
        elif arch_folder:
            yield root / name.format(arch=arch_folder), read


def version_of_folder(name: str) -> CannVersion | None:
    """The version that a folder's name gives: ``cann-9.1.0``, or ``8.3.RC2`` in ascend-toolkit."""
    try:
        return CannVersion.parse(name.removeprefix("cann-"))
    except ValueError:
        return None


def read_version(root: Path, arch_folder: str | None) -> VersionReading:
    """Ask each file in turn; a file that tells no version is refused and the next one is asked.

    The folder's own name is asked last: trees copied into images sometimes lack every file.
    """
    refusals: list[Refusal] = []
    for path, read in _version_files(root, arch_folder):
        try:
            return VersionReading(CannVersion.parse(read(read_fields(path))), path, tuple(refusals))
        except (FileNotFoundError, NotADirectoryError):
            continue
        except OSError as error:
            refusals.append(Refusal(f"{path}: cannot be read: {error.strerror}"))
        except ValueError as error:
            refusals.append(Refusal(f"{path}: {error}"))
    version = version_of_folder(root.name)
    source = f"the folder's name, {root.name}" if version else "nothing"
    return VersionReading(version, source, tuple(refusals))
