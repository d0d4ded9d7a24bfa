"""The CMake modules of the emulated CANN, in the places where projects look for CANN's."""

from __future__ import annotations

import platform
import shutil
from pathlib import Path

from op_builder.cann.npu_arch import ARCHS

#: The folder of CANN with the modules.
MODULES = Path("compiler", "tikcpp", "ascendc_kernel_cmake")
#: The folder to name in CMAKE_PREFIX_PATH, as CANN's set_env.sh does.
PREFIX = Path("lib64", "cmake")
_PACKAGES = ("ASCConfig.cmake", "tikicpulib-config.cmake")

#: Libraries of CANN that projects link and whose functions are in the headers here, or that only
#: CANN's own code calls. An empty archive serves `-l`, and no program finds it at run time.
EMPTY_ARCHIVES = (
    "ascend_dump",
    "ascendalog",
    "ascendc_runtime",
    "c_sec",
    "error_manager",
    "ge_common_base",
    "graph_base",
    "mmpa",
    "platform",
    "profapi",
    "register",
    "runtime",
    "tiling_api",
    "unified_dlog",
)


def module_sources() -> list[Path]:
    """Return the files of this project that :func:`write_cmake_modules` copies.

    Example:
        >>> from ascend_ops.emulator.cmake_modules import module_sources
        >>> "ascendc.cmake" in [file.name for file in module_sources()]
        True
    """
    return sorted(file for file in _sources().rglob("*") if file.is_file())


def socs() -> str:
    """Return the module with the architecture of each SoC; the first row that matches counts.

    Example:
        >>> from ascend_ops.emulator.cmake_modules import socs
        >>> '"Ascend910B:dav-2201"' in socs()
        True
    """
    rows = [f'  "{prefix}:{arch.name}"' for arch in ARCHS for prefix in arch.socs]
    return "\n".join(["set(ASCENDC_SOCS", *rows]) + ")\n"


def write_cmake_modules(folder: Path) -> None:
    """Write the modules into the emulated CANN at ``folder``, and the archives that they link."""
    modules = folder / MODULES
    shutil.copytree(_sources(), modules)
    (modules / "socs.cmake").write_text(socs(), encoding="utf-8")
    (modules.parent / "tikcfw").symlink_to(Path("..", "..", "include"))
    _link_other_places(folder)
    for name in EMPTY_ARCHIVES:
        (folder / "lib64" / f"lib{name}.a").write_bytes(b"!<arch>\n")


def _sources() -> Path:
    return Path(__file__).with_name("cmake")


def _link_other_places(folder: Path) -> None:
    """Link the places of other CANN versions to the modules."""
    tikcpp = MODULES.parent
    for parent in (folder / "tools", folder / f"{platform.machine()}-linux"):
        (parent / "tikcpp").symlink_to(Path("..", tikcpp))
    samples = folder / "ascendc_devkit" / "tikcpp" / "samples"
    samples.mkdir(parents=True)
    (samples / "cmake").symlink_to(Path("..", "..", "..", MODULES))
    prefix = folder / PREFIX
    prefix.mkdir()
    for name in _PACKAGES:
        (prefix / name).symlink_to(Path("..", "..", MODULES, name))
    cpu_library = folder / "tools" / "tikicpulib" / "lib"
    cpu_library.mkdir(parents=True)
    (cpu_library / "cmake").symlink_to(Path("..", "..", "..", PREFIX))
