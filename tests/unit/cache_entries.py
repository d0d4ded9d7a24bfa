"""Specs, keys and published entries, made without a compiler."""

from __future__ import annotations

import json
import platform
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from op_builder.cache import entry, key, store
from op_builder.cache.entry import Entry
from op_builder.cache.key import BuildKey
from op_builder.cache.layers import Layer
from op_builder.cache.manifest import Manifest
from op_builder.errors import CompilerNotFoundError
from op_builder.jit.plan import Plan
from op_builder.recipe import ninja
from op_builder.recipe.spec import BuildSpec, Source
from op_builder.system import file_identity
from op_builder.toolchain import Toolchain

MACHINE = platform.machine()
COMPILER = {"compiler": {"version": "gcc 13.2.1", "path": "/usr/bin/g++"}, "environment": {}}


def spec(root: Path, **changes: Any) -> BuildSpec:
    """Return the spec of an op with one source in ``root``, creating the files if necessary."""
    root.mkdir(parents=True, exist_ok=True)
    for name in ("a.cpp", "a.h"):
        if not (root / name).exists():
            (root / name).write_text(f"// {name}\n", encoding="utf-8")
    made = BuildSpec(
        name="made_up",
        binding="ctypes",
        namespace="made_up",
        sources=(Source("a.cpp"),),
        include_dirs=("source/include",),
        cxx_flags=("-O3",),
        ld_flags=("-lm",),
        roots={"source": root},
        bound_to={},
    )
    return replace(made, **changes)


def toolchain(**changes: Any) -> Toolchain:
    """Return a toolchain whose compiler must not be needed."""
    made = Toolchain({}, None, MACHINE, ".so", None, None)
    return replace(made, **changes)


@dataclass(frozen=True)
class KeyedPlan(Plan):
    """A plan with a given key; None stands for a machine without a compiler."""

    key: BuildKey | None = None

    def build_key(self) -> BuildKey:
        if self.key is None:
            raise CompilerNotFoundError("a C++ compiler", [], "")
        return self.key


def find(
    layers: Sequence[Layer], spec: BuildSpec, recipe: Mapping[str, Any], key: BuildKey | None
) -> store.Lookup:
    """Search ``layers`` for an op, as a load does."""
    return KeyedPlan(spec, toolchain(), recipe, tuple(layers), "", "", key).find()


@dataclass
class Shelf:
    """A layer, with the spec and key of an op to publish in it and find in it."""

    layer: Layer
    spec: BuildSpec
    compiler: Mapping[str, Any] = field(default_factory=lambda: COMPILER)

    @classmethod
    def below(cls, folder: Path, name: str = "user", **changes: Any) -> Shelf:
        layer = Layer(name, folder / name, shipped=name in ("prebuilt", "site"))
        return cls(layer, spec(folder / "sources", **changes))

    @property
    def recipe(self) -> dict[str, Any]:
        return key.recipe(self.spec, toolchain())

    @property
    def key(self) -> BuildKey:
        return BuildKey(self.recipe, self.compiler)

    def manifest(self, work: Path, **changes: Any) -> Manifest:
        library = work / ninja.library_name(self.spec)
        made = Manifest(
            recipe=self.key.recipe,
            toolchain=self.key.toolchain,
            headers=entry.header_digests(["source/a.h"], self.spec.resolve),
            payload=library.name,
            payload_digest=file_identity.digest_file(library),
            payload_bytes=library.stat().st_size,
            cpu_features=(),
            build_seconds=1.5,
            created="2026-01-02T03:04:05+00:00",
            project_version="1",
        )
        return replace(made, **changes)

    def publish(self, content: bytes = b"a library", **changes: Any) -> Entry:
        """Publish ``content``, as a build does when its compilers have finished."""
        self.layer.prepare()
        with store.staging(self.layer, self.spec.name) as work:
            (work / ninja.library_name(self.spec)).write_bytes(content)
            (work / "build.ninja").write_text(ninja.render(self.spec), encoding="utf-8")
            (work / "build.log").write_text("[1/1] link\n", encoding="utf-8")
            return store.publish(self.layer, self.key, work, self.manifest(work, **changes))

    def find(self) -> store.Lookup:
        return find([self.layer], self.spec, self.recipe, self.key)


def edit_manifest(published: Entry, **changes: Any) -> None:
    """Overwrite fields of a manifest on disk; None removes a field."""
    file = published.path / entry.MANIFEST
    fields = {**json.loads(file.read_bytes()), **changes}
    kept = {name: value for name, value in fields.items() if value is not None}
    file.write_text(json.dumps(kept), encoding="utf-8")
