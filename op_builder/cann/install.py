"""Find the CANN install to build against, or report why each place searched was refused."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path

from .. import envs
from ..errors import CannNotFoundError, Refusal
from .layout import DOES_NOT_EXIST, Layout, examine, normal_machine, why_unreachable
from .places import LAYOUT_NAMES, Source, Tier, layouts, sources
from .records import driver_version, npu_device_nodes, quoted
from .version import CannVersion, VersionReading, read_version
from .warning import CannWarning, WarningKind

__all__ = ["CannInstall", "CannVersion", "driver_version", "npu_device_nodes"]

logger = logging.getLogger(__name__)

_ADVICE = (
    "Source the set_env.sh of the CANN you want (CANN 8.5 and later: "
    "source /usr/local/Ascend/cann/set_env.sh; before: "
    "source /usr/local/Ascend/ascend-toolkit/set_env.sh), or install the CANN toolkit from "
    "https://www.hiascend.com/cann/download. Building needs no NPU and no driver. "
    "`ascend-ops doctor` lists all installs and the command that mends this."
)


@dataclass(frozen=True)
class CannInstall:
    """One CANN install as it was found on disk; nothing in it was executed or loaded.

    ``stub_library_dirs`` (``devlib``, ``stub``) let a library link on a machine without a driver.
    Pass them to ``-L`` after ``library_dirs`` and never put them into an rpath: at run time a stub
    would hide the real library.

    Example:
        >>> from op_builder.cann import CannInstall
        >>> from op_builder.errors import CannNotFoundError
        >>> try:
        ...     found = str(CannInstall.find().version)
        ... except CannNotFoundError as error:
        ...     found = error.refusals[0]
    """

    root: Path
    version: CannVersion | None
    version_source: Path | str
    include_dirs: tuple[Path, ...]
    library_dirs: tuple[Path, ...]
    stub_library_dirs: tuple[Path, ...]
    opp_dir: Path | None
    kind: str
    arch: str
    found_by: str
    warnings: tuple[CannWarning, ...] = ()

    @classmethod
    def find(
        cls,
        environ: Mapping[str, str] | None = None,
        *,
        filesystem_root: Path = Path("/"),
        home: Path | None = None,
        machine: str | None = None,
        need_headers: bool = True,
        log: bool = True,
    ) -> CannInstall:
        """Return the install that the user most likely means.

        The search order:

        1. ASCEND_HOME_PATH, ASCEND_TOOLKIT_HOME, ASCEND_INSTALL_PATH, ASCEND_CANN_PACKAGE_PATH,
           CANN_INSTALL_DIR, the parent of ASCEND_OPP_PATH;
        2. the install records, /etc/Ascend/ascend_cann_install.info before the one in $HOME/Ascend;
        3. /usr/local/Ascend before $HOME/Ascend, the new layout before the old one, a link before a
           version, a higher version before a lower one.

        The environment wins over records (sgl-kernel-npu #485 and #500: a record or a fixed version
        overrode what was sourced). If a variable names an unusable folder, the search continues,
        because stale variables are common in images, and the result carries a warning. Each
        warning is logged once per process.

        Args:
            environ: The environment to read; default: this process's.
            filesystem_root: The folder that stands for ``/``.
            home: The user's home folder; default: from ``environ``.
            machine: The machine to build for, for example ``aarch64``; default: this one.
            need_headers: If False, a runtime-only install is accepted.
            log: Whether to log the warnings.

        Raises:
            CannNotFoundError: No install is usable; the error has a reason for each place.
        """
        home = envs.HOME.get(environ) if home is None else home
        machine = normal_machine(machine or os.uname().machine)
        search = _Search(machine, need_headers)
        search.run(sources(environ, filesystem_root, home))
        if not search.found:
            wanted = "A CANN toolkit" if need_headers else "A CANN install"
            raise CannNotFoundError(f"{wanted} for {machine}", search.refusals, _ADVICE)
        warnings = tuple(search.warnings())
        if log:
            for warning in warnings:
                _log_once(warning)
        return _install(search.found[0], warnings)

    @classmethod
    def find_all(
        cls,
        environ: Mapping[str, str] | None = None,
        *,
        filesystem_root: Path = Path("/"),
        home: Path | None = None,
        machine: str | None = None,
    ) -> tuple[list[CannInstall], list[Refusal]]:
        """Return every install in every place that :meth:`find` knows, in its search order.

        Installs without headers are included. The arguments are those of :meth:`find`.

        Returns:
            The installs, each once, and why the other places were refused.

        Example:
            >>> from pathlib import Path
            >>> from op_builder.cann import CannInstall
            >>> CannInstall.find_all({}, filesystem_root=Path("/nonexistent"))[0]
            []
        """
        home = envs.HOME.get(environ) if home is None else home
        search = _Search(normal_machine(machine or os.uname().machine), need_headers=False)
        found: list[_Found] = []
        for each in search.all_usable(sources(environ, filesystem_root, home)):
            if not any(each.layout.same_as(seen.layout) for seen in found):
                found.append(each)
        return [_install(each, ()) for each in found], search.refusals


def _install(found: _Found, warnings: tuple[CannWarning, ...]) -> CannInstall:
    layout, reading = found.layout, found.reading
    return CannInstall(
        root=layout.root,
        version=reading.version,
        version_source=reading.source,
        include_dirs=layout.include_dirs,
        library_dirs=layout.library_dirs,
        stub_library_dirs=layout.stub_library_dirs,
        opp_dir=layout.opp_dir,
        kind=layout.kind,
        arch=layout.arch,
        found_by=found.source.name,
        warnings=warnings,
    )


@cache
def _log_once(warning: str) -> None:
    logger.warning("%s", warning)


@dataclass(frozen=True)
class _Found:
    source: Source
    layout: Layout
    peers: tuple[Layout, ...] = ()

    @cached_property
    def reading(self) -> VersionReading:
        return read_version(self.layout.root, self.layout.arch_folder)

    def __str__(self) -> str:
        version = self.reading.version or "of unknown version"
        return f"CANN {version} in {self.layout.root} (from {self.source.name})"


class _Search:
    """One search and what each source yielded; the first find is the install that is used."""

    def __init__(self, machine: str, need_headers: bool) -> None:
        self._machine, self._need_headers = machine, need_headers
        self._examined: dict[Path, Layout | Refusal] = {}
        self._unusable_variables: list[tuple[str, Refusal]] = []
        self.found: list[_Found] = []
        self.refusals: list[Refusal] = []

    def run(self, sources: Iterable[Source | Refusal]) -> None:
        """Search on after the first hit, to find sources that disagree.

        Records are always read (100 bytes each). Well-known folders are searched only if nothing
        was sourced or recorded: another install there does not contradict the user's choice.
        """
        for source in sources:
            if isinstance(source, Refusal):
                self.refusals.append(source)
                continue
            if self.found and source.tier > max(self.found[0].source.tier, Tier.RECORD):
                return
            refusals: list[Refusal] = []
            if found := self._first_usable(source, refusals):
                self.found.append(found)
            elif source.tier is Tier.VARIABLE:
                self._unusable_variables += [(source.name, why) for why in refusals[:1]]
            self.refusals += refusals

    def all_usable(self, sources: Iterable[Source | Refusal]) -> Iterator[_Found]:
        """Yield what every source has, also behind its first install."""
        for source in sources:
            if isinstance(source, Refusal):
                self.refusals.append(source)
            elif reason := _unreachable(source.folder):
                self.refusals.append(_refusal(source, source.folder, reason))
            else:
                for group in source.groups():
                    for layout in self._usable(source, group, self.refusals):
                        yield _Found(source, layout)

    def _first_usable(self, source: Source, refusals: list[Refusal]) -> _Found | None:
        if reason := _unreachable(source.folder):
            refusals.append(_refusal(source, source.folder, reason))
            return None
        for group in source.groups():
            usable = list(self._usable(source, group, refusals))
            if usable:
                return _Found(source, usable[0], tuple(usable[1:]))
        if source.is_base:
            reason = f"contains no usable {', '.join(LAYOUT_NAMES)}"
            refusals.append(_refusal(source, source.folder, reason))
        return None

    def _usable(
        self, source: Source, group: Iterable[Path], refusals: list[Refusal]
    ) -> Iterator[Layout]:
        for folder in group:
            result = self._examine(folder)
            if isinstance(result, Layout):
                yield result
            elif result != DOES_NOT_EXIST:
                hint = "" if source.is_base else self._below(folder)
                refusals.append(_refusal(source, folder, f"{result}{hint}"))

    def _below(self, folder: Path) -> str:
        """Suggest the install below ``folder``: naming the folder above it is a common slip."""
        for group in layouts(folder):
            for candidate in group:
                if isinstance(self._examine(candidate), Layout):
                    return f"; did you mean {candidate}?"
        return ""

    def _examine(self, folder: Path) -> Layout | Refusal:
        """Examine a folder once: set_env.sh sets three variables to the same install."""
        if folder not in self._examined:
            need_headers = self._need_headers
            self._examined[folder] = examine(folder, self._machine, need_headers=need_headers)
        return self._examined[folder]

    def warnings(self) -> Iterator[CannWarning]:
        """Yield what the user should know about the install that is used."""
        chosen, *others = self.found
        for variable, refusal in self._unusable_variables:
            text = f"{refusal}; {chosen} is used instead"
            yield CannWarning(WarningKind.UNUSABLE_VARIABLE, text, variable)
        rivals: list[_Found] = []
        for other in others:
            if not any(other.layout.same_as(seen.layout) for seen in (chosen, *rivals)):
                rivals.append(other)
                yield CannWarning(WarningKind.DISAGREEMENT, _disagreement(chosen, other))
        peers = [peer.root for peer in chosen.peers if not peer.same_as(chosen.layout)]
        if peers:
            yield CannWarning(
                WarningKind.SEVERAL,
                f"{chosen} is used, the highest of several versions; the others: "
                f"{', '.join(map(str, peers))}. Source the set_env.sh of the one you want",
            )
        if chosen.reading.version is None:
            reasons = "; ".join(chosen.reading.refusals) or "no file in it contains one"
            text = f"the version of CANN in {chosen.layout.root} is unknown: {reasons}"
            yield CannWarning(WarningKind.UNKNOWN_VERSION, text)


def _unreachable(folder: Path) -> str | None:
    return why_unreachable(folder) if folder.is_absolute() else "is not an absolute path"


def _refusal(source: Source, folder: Path, reason: str) -> Refusal:
    return Refusal(f"{source.name}: {quoted(str(folder))} {reason}")


def _disagreement(chosen: _Found, other: _Found) -> str:
    first, second = chosen.source.tier, other.source.tier
    rule = "the environment wins" if first is Tier.VARIABLE < second else "the first one counts"
    return f"two places disagree, and {rule}: {chosen} is used, not {other}"
