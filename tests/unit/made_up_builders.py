"""Small builders for tests, and packages that declare one."""

from __future__ import annotations

from pathlib import Path

from op_builder import CPUOpBuilder
from op_builder.toolchain import Toolchain


class MadeUpBuilder(CPUOpBuilder):
    """An op in plain C; the test chooses the folder of its source."""

    NAME = "made_up"
    BUILD_VAR = "DS_BUILD_MADE_UP"
    BINDING = "ctypes"
    root = Path("/nowhere")

    def sources(self) -> list[str]:
        return ["a.cpp"]

    def source_root(self) -> Path:
        return self.root


class ImpossibleBuilder(MadeUpBuilder):
    """An op that cannot be built, for two reasons."""

    NAME = "impossible"
    BUILD_VAR = "DS_BUILD_IMPOSSIBLE"

    def compatibility(self, toolchain: Toolchain) -> list[str]:
        return [*super().compatibility(toolchain), "there is no NPU", "the moon is full"]


def install(site: Path, name: str, *entry_points: str, source: str = "") -> Path:
    """Create a distribution in ``site`` that declares op builders, as if pip had installed it."""
    info = site / f"{name}-1.0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text(f"Name: {name}\nVersion: 1.0\n", encoding="utf-8")
    lines = "\n".join(["[ascend_ops.op_builders]", *entry_points])
    (info / "entry_points.txt").write_text(lines, encoding="utf-8")
    module = site / f"{name}.py"
    module.write_text(source, encoding="utf-8")
    return module


SOURCE_OF_A_BUILDER = """
from op_builder import CPUOpBuilder

class {cls}(CPUOpBuilder):
    NAME = "{name}"
    BUILD_VAR = "DS_BUILD_OUTSIDE"
    BINDING = "ctypes"

    def sources(self):
        return ["a.cpp"]
"""
