"""The packaging that pyproject.toml cannot express: ahead-of-time ops, and folders that move.

DS_BUILD_CPU_ADAM=1 builds one op ahead of time, or fails. DS_BUILD_OPS=1 builds all ops that can be
built on this machine. See docs/ahead-of-time.md.
"""

from __future__ import annotations

import sys
from pathlib import Path

from setuptools import find_packages, setup
from setuptools.command.bdist_wheel import bdist_wheel

sys.path.insert(0, str(Path(__file__).resolve().parent))

from op_builder.registry import ALL_OPS
from op_builder.setuptools_command import BuildOps, OpExtension, requested_extensions
from op_builder.toolchain.torch_install import find_torch

# Folders at the top of the repository that are installed inside a package.
MOVED = {"op_builder.csrc": "csrc", "ascend_ops.benchmarks": "benchmarks"}
# `python -m build` compiles in an isolated environment, which then requires torch's headers. Ops on
# the stable ABI that are built against them run with torch 2.10 or newer.
TORCH_FOR_HEADERS = "torch==2.13.0"


class OpWheel(bdist_wheel):
    """A wheel, tagged for one Python version only if it contains an op that depends on it."""

    def get_tag(self) -> tuple[str, str, str]:
        """Return the wheel's tag."""
        python, abi, platform = super().get_tag()
        ops = [ext.builder for ext in extensions if isinstance(ext, OpExtension)]
        if any(op.BINDING == "python" for op in ops):
            return python, abi, platform
        return "py3", "none", platform


extensions = requested_extensions(ALL_OPS)
setup(
    packages=[*find_packages(include=["op_builder*", "ascend_ops*"]), *MOVED],
    package_dir=MOVED,
    include_package_data=False,  # setuptools would take every folder of data for a package
    package_data={
        "ascend_ops.benchmarks": ["**/*.h", "**/*.cpp", "**/*.asc"],
        "op_builder": ["py.typed", "*.pyi", "**/*.json", "recipe/*.h"],
        "op_builder.csrc": ["**/*.h", "**/*.cpp", "**/*.inc", "**/*.asc"],
        "ascend_ops": ["py.typed", "*.pyi", "emulator/*.txt", "emulator/cmake/**/*.cmake*"],
    },
    ext_modules=extensions,
    cmdclass={"build_ext": BuildOps, "bdist_wheel": OpWheel},
    setup_requires=[TORCH_FOR_HEADERS] if extensions and find_torch() is None else [],
)
