"""Binary interfaces: the C++ ABI, Python's ABI, the architecture and the C library of wheels."""

from __future__ import annotations

import importlib.metadata
import re

from op_builder.system.elf import read_library, read_loader_entries

from ..finding import Examination, Remedy
from ..loader import ELF_MACHINES
from ..packages import pip, pip_line
from ..survey import Survey

_MANYLINUX = re.compile(r"manylinux_(\d+)_(\d+)_")


def examine(survey: Survey) -> Examination:
    """Check that the binaries of torch, torch_npu, Python and the system fit each other."""
    found = Examination("abi")
    _check_cxx11(survey, found)
    for name in ("torch", "torch_npu"):
        _check_python(survey, name, found)
    _check_glibc(survey, found)
    return found


def _reinstall(survey: Survey) -> Remedy:
    """Return the line that replaces the wheels by those for this Python and architecture."""
    release = survey.torch_npu.version if survey.torch_npu else ""
    line = pip_line(survey.machine, release) if release else f"{pip(survey.machine)} install torch"
    return Remedy(line.replace(" install ", " install --force-reinstall --no-cache-dir ", 1))


def _check_cxx11(survey: Survey, found: Examination) -> None:
    if survey.torch is None:
        return
    try:
        torch_uses = survey.torch.uses_cxx11_abi()
    except OSError as error:
        found.broken(
            "damaged_torch",
            f"torch's libc10.so cannot be read: {error}",
            "The install of torch is damaged; `import torch` fails.",
            _reinstall(survey),
        )
        return
    found.fact("C++ ABI of torch", "C++11" if torch_uses else "before C++11")
    if survey.torch_npu is None:
        return
    library = read_library(survey.torch_npu.library_dir / "libtorch_npu.so")
    if library is None:
        found.broken(
            "damaged_torch_npu",
            f"{survey.torch_npu.library_dir / 'libtorch_npu.so'} is not a shared library",
            "The install of torch_npu is damaged; `import torch_npu` fails.",
            _reinstall(survey),
        )
        return
    of_torch = [name for name in library.undefined if name.startswith(("_ZN3c10", "_ZN2at"))]
    npu_uses = any("__cxx11" in name for name in library.undefined)
    if of_torch and npu_uses != torch_uses:
        kinds = {True: "the C++11 ABI", False: "the ABI before C++11"}
        found.broken(
            "cxx11",
            f"torch_npu {survey.torch_npu.version} was compiled with {kinds[npu_uses]}, torch "
            f"{survey.torch.version} with {kinds[torch_uses]}",
            "`import torch_npu` fails with an undefined symbol, although the versions fit.",
            _reinstall(survey),
        )


def _check_python(survey: Survey, name: str, found: Examination) -> None:
    """Check the extension module ``_C`` of a package, which exists for one Python only."""
    install = survey.torch if name == "torch" else survey.torch_npu
    if install is None:
        return
    modules = sorted(install.root.glob("_C.*.so"))
    if not modules:
        return
    machine = survey.machine
    usable = (machine.python.suffix, ".abi3.so")
    fitting = [each for each in modules if each.name.endswith(usable)]
    entries = read_loader_entries((fitting or modules)[0])
    wanted = ELF_MACHINES.get(machine.architecture)
    if not fitting:
        found.broken(
            "python",
            f"{name} was installed for another Python: it has {modules[0].name}, but this Python "
            f"loads names that end in {machine.python.suffix}",
            f"`import {name}` fails: its extension module is not found.",
            _reinstall(survey),
        )
    elif entries is not None and wanted is not None and entries.machine != wanted:
        other = next((arch for arch, n in ELF_MACHINES.items() if n == entries.machine), "another")
        found.broken(
            "architecture",
            f"{name} was installed for {other}, but this machine is {machine.architecture}",
            f"`import {name}` fails: wrong ELF class or machine.",
            _reinstall(survey),
        )


def _check_glibc(survey: Survey, found: Examination) -> None:
    machine = survey.machine
    if not machine.glibc:
        return
    found.fact("C library", "glibc " + ".".join(map(str, machine.glibc)))
    for name in ("torch", "torch_npu"):
        needed = _glibc_of_wheel(survey, name)
        if needed > machine.glibc:
            text = ".".join(map(str, needed))
            found.broken(
                "glibc",
                f"the wheel of {name} requires glibc {text}, but this system has "
                f"{'.'.join(map(str, machine.glibc))}",
                f"`import {name}` fails: version `GLIBC_{text}' not found. glibc cannot be "
                "upgraded apart from the system.",
                Remedy(
                    "docker run -it openeuler/openeuler:24.03-lts",
                    "a system with a newer glibc, for example in a container",
                ),
            )


def _glibc_of_wheel(survey: Survey, name: str) -> tuple[int, ...]:
    folders = list(survey.machine.python.folders)
    for each in importlib.metadata.distributions(name=name, path=folders):
        tags = _MANYLINUX.findall(each.read_text("WHEEL") or "")
        return min(((int(major), int(minor)) for major, minor in tags), default=())
    return ()
