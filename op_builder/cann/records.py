"""Records of the CANN and driver installers: small files of ``key=value`` lines."""

from __future__ import annotations

import re
from pathlib import Path

from ..system.regular_file import read_start

# The largest such file seen is 3 KB; a limit keeps a wrong path (a log, a device) harmless.
_LIMIT = 64 * 1024
_NAME = re.compile(r"[A-Za-z_][\w.-]*", re.ASCII)

_WITHOUT_PUNCTUATION = str.maketrans("", "", "/._+~-")

DEFAULT_BASE = Path("/usr/local/Ascend")


def read_fields(path: Path) -> dict[str, str]:
    """Return the ``key=value`` lines of ``path``; the first of two equal keys counts.

    Bytes that are not UTF-8 are replaced: an install path in another encoding must not hide the
    version next to it.

    Raises:
        OSError: The file cannot be read or is not a regular file.
    """
    text = read_start(path, _LIMIT).decode("utf-8", "replace")
    fields: dict[str, str] = {}
    for line in text.splitlines():
        key, equals, value = line.partition("=")
        if equals and _NAME.fullmatch(key.strip()):
            fields.setdefault(key.strip(), value.strip().strip("\"'"))
    return fields


def quoted(path: str) -> str:
    """Return a path for a message, in quotes if it has a character that is easily overlooked."""
    plain = path.isascii() and path.translate(_WITHOUT_PUNCTUATION).isalnum()
    return path if plain else repr(path)


def under(filesystem_root: Path, path: Path) -> Path:
    """Return an absolute ``path`` as seen from below ``filesystem_root``."""
    return filesystem_root / path.relative_to(path.anchor)


def driver_version(filesystem_root: Path = Path("/")) -> str | None:
    """Return the NPU driver's version, for example ``25.3.rc1``; None without a driver.

    A container often has ``driver/version.info`` mounted but not the install record, so the default
    path is read if there is no record. Since 26.0 the key is ``package_version``.
    """
    base = DEFAULT_BASE
    try:
        recorded = read_fields(filesystem_root / "etc" / "ascend_install.info")
        base = Path(recorded.get("Driver_Install_Path_Param") or base)
    except OSError:
        pass
    if not base.is_absolute():
        return None
    try:
        fields = read_fields(under(filesystem_root, base) / "driver" / "version.info")
    except (OSError, ValueError):  # ValueError: a NUL in the recorded path
        return None
    return fields.get("Version") or fields.get("package_version") or None


def npu_device_nodes(filesystem_root: Path = Path("/")) -> tuple[Path, ...]:
    """Return ``/dev/davinci0``, ``/dev/davinci1`` and so on, in numerical order.

    ``davinci_manager`` is not a device: it exists whenever the driver is loaded, even without an
    NPU.
    """
    nodes: list[tuple[int, Path]] = []
    for node in (filesystem_root / "dev").glob("davinci[0-9]*"):
        number = node.name.removeprefix("davinci")
        if number.isdecimal():
            nodes.append((int(number), node))
    return tuple(node for _, node in sorted(nodes))
