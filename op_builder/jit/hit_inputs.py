"""Memoize a cache hit, with the status of all files on which it depends."""

from __future__ import annotations

import os
import sys
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

from ..cache.entry import MANIFEST, Entry
from ..cache.freshness import known_inputs
from ..cache.layers import Layer, can_be_written
from ..system import memo
from ..system.file_clock import TEMPORARY, Clocks, LocalClock
from ..system.file_identity import Status, joint_status
from ..toolchain.compiler import known_search
from ..toolchain.environment import keyed
from ..toolchain.flag_files import looked_up
from ..toolchain.linker import linker_choice
from .library import functions_of
from .memoized_hit import Hit, HitMemo
from .plan import Plan

_MOST_HITS = 256  # of 35 KB each
_PACKAGE = __name__.rpartition(".jit.")[0]


def memoize_hit(
    place: HitMemo, plan: Plan, entry: Entry, module: Any, plan_again: Callable[[], Plan | None]
) -> None:
    """Memoize that an op's declaration leads to ``entry``, if that is certain.

    The files that it depends on are known only after the entry has been found, when they may have
    changed since they were read. So their status is read then, and the entry is searched for once
    more: it must be the same.

    Args:
        place: Where the hit is memoized.
        plan: The plan with which the entry was found.
        entry: The entry.
        module: The loaded op.
        plan_again: Derives the plan again; it returns None if the declaration has changed.
    """
    if not can_be_written(place.folder):
        return
    found = _depends_on(plan, entry)
    if found is None:
        return
    files, absent = _split(found)
    state = joint_status(files)
    if state is None or not state.is_settled(LocalClock()):
        return
    if not state.is_settled(Clocks([place.folder.parent, TEMPORARY])):
        return
    second = plan_again()
    again = None if second is None else second.find().entry
    if second is None or again is None or again.path != entry.path:
        return
    if _depends_on(second, again) != found:
        return
    hit = _hit(second, again, state.status_of(files.index(str(again.library))), module)
    fact = {name: getattr(hit, name) for name in Hit.__annotations__}
    # The machine is part of the key, and a second fact of this size would take 0.3 ms to read.
    memo.store(place.folder, place.key, fact, files, absent, state, variants=1)
    _forget_oldest(place.folder)


def _forget_oldest(folder: Path) -> None:
    """Keep a folder of memos small, for example if a job has its own PATH each time."""
    with suppress(OSError), os.scandir(folder) as found:
        memos = sorted(found, key=lambda memo: memo.stat().st_mtime_ns)
        for memo in memos[:-_MOST_HITS]:
            Path(memo.path).unlink(missing_ok=True)


def _hit(plan: Plan, entry: Entry, status: Status, module: Any) -> Hit:
    spec, manifest = plan.spec, entry.manifest
    return Hit(
        name=spec.name,
        binding=spec.binding,
        namespace=spec.namespace,
        bound_to=tuple(spec.bound_to),
        layer=entry.layer,
        entry=str(entry.path.relative_to(_layer(plan, entry).root)),
        payload=manifest.payload,
        digest=manifest.payload_digest,
        size=manifest.payload_bytes,
        status=status,
        functions=functions_of(module),
    )


def _layer(plan: Plan, entry: Entry) -> Layer:
    return next(layer for layer in plan.layers if layer.name == entry.layer)


def _depends_on(plan: Plan, entry: Entry) -> list[str] | None:
    """Return the paths whose status decides that ``entry`` is found; None if that is not certain.

    A path may be missing: then it must not appear.
    """
    spec, manifest = plan.spec, entry.manifest
    is_shipped = _layer(plan, entry).shipped
    inputs = known_inputs(manifest, entry.path, spec.resolve, own_only=is_shipped)
    cxx_flags = [*spec.cxx_flags, *(flag for source in spec.sources for flag in source.flags)]
    named = looked_up([*cxx_flags, *spec.ld_flags], spec.resolve)
    if inputs is None or named is None or spec.uses_native or manifest.cpu_features:
        return None
    if manifest.recipe != plan.recipe:
        return None
    found = [
        *(spec.resolve(f"source/{source.path}") for source in spec.sources),
        str(entry.path / MANIFEST),
        str(entry.library),
        *_own_modules(),
        *named,
        *inputs,
    ]
    if "torch" in spec.roots:
        found += [f"{spec.roots['torch']}/version.py", f"{spec.roots['torch']}/lib/libc10.so"]
    if not is_shipped:
        search = known_search(plan.environ, plan.toolchain.memo_dir, linker_choice(spec.ld_flags))
        if search is None:
            return None
        compiler, looked_up_for_it = search
        known = {"compiler": compiler.identity(), "environment": keyed(compiler.environ)}
        if manifest.toolchain != known:
            return None
        found += looked_up_for_it
    return list(dict.fromkeys(found))


def _split(paths: list[str]) -> tuple[list[str], list[str]]:
    """Return the files whose status must stay the same, and the paths that must not appear.

    If several names are missing in a folder, such as ``as`` and ``ld`` in one of PATH, its status
    shows whether one of them has appeared.
    """
    files = [path for path in paths if os.path.exists(path)]  # noqa: PTH110
    absent = [path for path in paths if path not in set(files)]
    folders = Counter(os.path.dirname(path) for path in absent)  # noqa: PTH120
    for folder, count in folders.items():
        if count > 1 and folder and os.path.isdir(folder):  # noqa: PTH112
            gone = [path for path in absent if os.path.dirname(path) == folder]  # noqa: PTH120
            if not any(map(os.path.islink, gone)):  # the target of a broken link may appear
                files.append(folder)
                absent = [path for path in absent if path not in gone]
    return list(dict.fromkeys(files)), absent


def _own_modules() -> list[str]:
    """Return the files of this package, whose code decides what a declaration leads to.

    What builders declare is part of the key.
    """
    names = sorted(
        name
        for name in sys.modules
        if f"{name}.".startswith(f"{_PACKAGE}.") and not name.startswith(f"{_PACKAGE}.ops.")
    )
    files = [getattr(sys.modules[name], "__file__", None) for name in names]
    return [file for file in files if file]
