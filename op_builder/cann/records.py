"""What the installers of CANN and of the driver wrote down: small files of ``key=value`` lines."""

from __future__ import annotations

import re
from pathlib import Path

# The largest such file seen is 3 KB; a limit keeps a wrong path (a log, a device) harmless.
_LIMIT = 64 * 1024
_FIELD = re.compile(r"^\s*([A-Za-z_][\w.-]*)\s*=\s*(.*?)\s*$", re.ASCII | re.MULTILINE)

DEFAULT_BASE = Path("/usr/local/Ascend")


def read_fields(path: Path) -> dict[str, str]:
    """The ``key=value`` lines of ``path``; the first of two equal keys counts.

    Raises OSError where the file cannot be read. Bytes that are not UTF-8 are replaced: an install
    path in another encoding must not hide the version next to it.
    """
    with path.open(encoding="utf-8", errors="replace") as file:
        text = file.read(_LIMIT)
    fields: dict[str, str] = {}
    for key, value in _FIELD.findall(text):
        fields.setdefault(key, value.strip("\"'"))
    return fields


def under(filesystem_root: Path, path: Path) -> Path:
    """An absolute ``path`` as it is seen below ``filesystem_root``."""
    return filesystem_root / path.relative_to(path.anchor)


def driver_version(filesystem_root: Path = Path("/")) -> str | None:
    """The NPU driver's version, as ``25.3.rc1``; None where no driver is installed.

    A container often gets ``driver/version.info`` mounted but not the install record, so without a
    record the default place is still asked. From 26.0 on the key is ``package_version``.
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
    """``/dev/davinci0``, ``/dev/davinci1``, ... in the order of their numbers.

    ``davinci_manager`` exists wherever the driver is loaded, also with no NPU, and is no device.
    """
    nodes: list[tuple[int, Path]] = []
    for node in (filesystem_root / "dev").glob("davinci[0-9]*"):
        number = node.name.removeprefix("davinci")
        if number.isdecimal():
            nodes.append((int(number), node))
    return tuple(node for _, node in sorted(nodes))
