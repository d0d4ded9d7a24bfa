"""One op of another package, on a machine with a fake compiler, for the command line."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pytest
from cache_entries import Shelf
from fake_compilers import GCC, FakeToolbox
from made_up_builders import ImpossibleBuilder, MadeUpBuilder, install
from user_folders import UserFolders

from op_builder.cache.entry import Entry
from op_builder.cache.layers import Layer


@dataclass(frozen=True)
class OutsideOp:
    """The ops ``made_up`` and ``impossible`` are known, and neither is cached yet."""

    source: Path
    toolbox: FakeToolbox
    layer: Layer

    def publish(self, content: bytes = b"a library") -> Entry:
        """Publish in the user's cache what a build with the current compiler would publish."""
        plan = MadeUpBuilder().plan()
        return Shelf(self.layer, plan.spec, plan.build_key().toolchain).publish(content)


def outside_op(
    tmp_path: Path, user_folders: UserFolders, monkeypatch: pytest.MonkeyPatch
) -> OutsideOp:
    """Declare the ops by entry points, and set CXX to the compiler."""
    sources, site, tools = (tmp_path / name for name in ("sources", "site", "bin"))
    for folder in (sources, site, tools):
        folder.mkdir()
    for name in ("a.cpp", "a.h"):
        (sources / name).write_text(f"// {name}\n", encoding="utf-8")
    install(site, "outside", "a = made_up_builders:MadeUpBuilder")
    install(site, "outside2", "b = made_up_builders:ImpossibleBuilder")
    monkeypatch.syspath_prepend(site)
    for cls in (MadeUpBuilder, ImpossibleBuilder):
        monkeypatch.setattr(cls, "root", sources)
    toolbox = FakeToolbox(tools)
    monkeypatch.setenv("CXX", f"'{toolbox.compiler('my++', GCC)}'")
    return OutsideOp(sources, toolbox, Layer("user", user_folders.cache, shipped=False))
