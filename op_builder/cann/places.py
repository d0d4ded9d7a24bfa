"""Where CANN may be: environment variables, install records, well-known folders, in this order."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import IntEnum
from itertools import chain
from pathlib import Path

from .. import envs
from ..errors import Refusal
from .records import DEFAULT_BASE, quoted, read_fields, under
from .version import version_of_folder

# In search order. set_env.sh sets the first two and ASCEND_OPP_PATH; build scripts and CMake
# projects use the others. The install is the parent of ASCEND_OPP_PATH.
VARIABLES = (
    envs.ASCEND_HOME_PATH,
    envs.ASCEND_TOOLKIT_HOME,
    envs.ASCEND_INSTALL_PATH,
    envs.ASCEND_CANN_PACKAGE_PATH,
    envs.CANN_INSTALL_DIR,
    envs.ASCEND_OPP_PATH,
)
# These name the install itself, as torch_npu and CANN's own tools read them.
_EXACT = (envs.ASCEND_HOME_PATH, envs.ASCEND_TOOLKIT_HOME, envs.ASCEND_OPP_PATH)

_LINKS = ("cann", "ascend-toolkit/latest")
_OTHER_PACKAGES = ("latest", "nnae/latest", "nnrt/latest")
LAYOUT_NAMES = (*_LINKS, "cann-<version>", "ascend-toolkit/<version>", *_OTHER_PACKAGES)


class Tier(IntEnum):
    """Kinds of sources in order of precedence: what the user sourced wins over what is recorded."""

    VARIABLE = 0
    RECORD = 1
    WELL_KNOWN = 2


@dataclass(frozen=True)
class Source:
    """One source that names a folder, and the installs that the folder may stand for."""

    tier: Tier
    name: str
    folder: Path
    is_install: bool = True
    is_base: bool = True

    def groups(self) -> Iterator[tuple[Path, ...]]:
        """Yield groups of folders to examine, best first; a group differs only in the version.

        Installers record the folder above the install; people name the install itself.
        """
        itself = [(self.folder,)] if self.is_install else []
        below = layouts(self.folder) if self.is_base else iter(())
        yield from chain(below, itself) if self.tier is Tier.RECORD else chain(itself, below)


def layouts(base: Path) -> Iterator[tuple[Path, ...]]:
    """Yield the installs that may lie below ``base``: CANN 8.5 and later, then older ones.

    A link (``cann``, ``latest``) is the administrator's choice and comes before any version. If
    there is no link, the highest version comes first.
    """
    for name in _LINKS:
        yield (base / name,)
    if versions := _side_by_side(base):
        yield versions
    for name in _OTHER_PACKAGES:
        yield (base / name,)


def _side_by_side(base: Path) -> tuple[Path, ...]:
    """Return ``cann-<version>`` and ``ascend-toolkit/<version>``, the highest version first."""
    found = []
    for pattern in ("cann-*", "ascend-toolkit/*"):
        for folder in base.glob(pattern):
            if version := version_of_folder(folder.name):
                found.append((version, folder))
    return tuple(folder for _, folder in sorted(found, reverse=True))


def sources(
    environ: Mapping[str, str] | None, filesystem_root: Path, home: Path | None
) -> Iterator[Source | Refusal]:
    """Yield every source in search order, or the reason why one cannot be used."""
    yield from _variables(environ)
    yield from _records(filesystem_root, home)
    yield from _well_known(filesystem_root, home)


def _variables(environ: Mapping[str, str] | None) -> Iterator[Source | Refusal]:
    values = [(variable, variable.raw(environ)) for variable in VARIABLES]
    if not any(value for _, value in values):
        names = ", ".join(variable.name for variable in VARIABLES)
        yield Refusal(f"environment variables: {names} are all unset")
    for variable, value in values:
        if not value:
            continue
        # A list of one, as in PATH="$X:$PATH" with an empty PATH.
        folder = Path(value.rstrip(":") or value)
        if variable is envs.ASCEND_OPP_PATH:
            folder = folder.parent
        exact = variable in _EXACT
        yield Source(Tier.VARIABLE, variable.name, folder, is_base=not exact)


def _bases(filesystem_root: Path, home: Path | None) -> Iterator[Path]:
    yield under(filesystem_root, DEFAULT_BASE)
    if home is not None:
        yield home / "Ascend"


def _records(filesystem_root: Path, home: Path | None) -> Iterator[Source | Refusal]:
    folders = [filesystem_root / "etc" / "Ascend"]
    if home is not None:
        folders.append(home / "Ascend")
    for folder in folders:
        record = folder / "ascend_cann_install.info"
        try:
            value = read_fields(record).get("Install_Path", "")
        except (FileNotFoundError, NotADirectoryError):
            yield Refusal(f"install record {record}: does not exist")
        except OSError as error:
            yield Refusal(f"install record {record}: cannot be read: {error.strerror}")
        else:
            yield _recorded(record, value, filesystem_root)


def _recorded(record: Path, value: str, filesystem_root: Path) -> Source | Refusal:
    if not value:
        return Refusal(f"install record {record}: has no Install_Path=")
    if not Path(value).is_absolute():
        return Refusal(
            f"install record {record}: Install_Path={quoted(value)} is not an absolute path"
        )
    folder = under(filesystem_root, Path(value))
    return Source(Tier.RECORD, f"install record {record}", folder)


def _well_known(filesystem_root: Path, home: Path | None) -> Iterator[Source]:
    for base in _bases(filesystem_root, home):
        yield Source(Tier.WELL_KNOWN, "well-known folder", base, is_install=False)
