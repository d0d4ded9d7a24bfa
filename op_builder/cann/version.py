"""CANN versions: their syntax, their order, and the files of an install that contain them."""

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

    Alpha, beta and rc versions come before the version they lead to. Up to 8.3 the third part may
    be ``RCn``, which comes before any number: 8.0.RC3, then 8.0.0.alpha001, 8.0.0.beta1, 8.0.0, in
    the order in which Ascend released them. ``Tn``, an internal test build, comes before both.

    Example:
        >>> CannVersion.parse("8.0.RC3") < CannVersion.parse("8.0.0.alpha001")
        True
    """

    text: str
    key: _Key = field(repr=False)

    @classmethod
    def parse(cls, text: str) -> CannVersion:
        """Parse a public version.

        Installs also contain internal versions (``1.83.T8.0.B128``, ``7.6.0.1.220``), which cannot
        be compared with public ones: read as a public version, one of them would turn CANN 8.0.0
        into a 7.6.

        Raises:
            ValueError: ``text`` is anything else, for example an internal version.
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
        """The release line, ``(8, 3)`` of 8.3.RC2: a torch_npu release is made for some."""
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
    """The version of an install, the source it came from, and why earlier sources had none."""

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
    """Return the public half of ``[internal:public]``, for example ``[7.6.0.1.220:8.0.0]``."""
    pair = _value(fields, "runtime_running_version")
    _, colon, public = pair.strip("[]").rpartition(":")
    if not colon:
        raise ValueError(f"has runtime_running_version={pair}, not [internal:public]")
    return public


# In search order; {arch} is x86_64-linux or aarch64-linux. Never a pattern: ascend_*_install.info
# would also match the operator package's file, and share/info/*/version.info the one of mstx, which
# contains 26.2.0 in CANN 9.2.0. nnae and nnrt count only if there is no toolkit file.
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
    """Return the version in a folder's name: ``cann-9.1.0``, or ``8.3.RC2`` in ascend-toolkit."""
    try:
        return CannVersion.parse(name.removeprefix("cann-"))
    except ValueError:
        return None


def read_version(root: Path, arch_folder: str | None) -> VersionReading:
    """Return the version from the first file that contains one.

    The folder's name is the last resort: trees copied into images sometimes lack every file.
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
