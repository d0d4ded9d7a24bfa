"""What several families of checks need to know, found once; slow things are found in parallel."""

from __future__ import annotations

import os
from concurrent.futures import Future, ThreadPoolExecutor
from functools import cached_property
from pathlib import Path

from op_builder.cann import CannInstall, driver_version, npu_device_nodes
from op_builder.cann.places import VARIABLES
from op_builder.errors import CannNotFoundError, Refusal
from op_builder.toolchain.torch_install import PackageInstall, find_package

from . import imports, npu_smi
from .loader import Resolved, library_path, resolve
from .machine import Machine
from .mounts import Mount, mount_of
from .other_pythons import OtherPython, find

#: The driver's library, which CANN's libascendcl.so needs.
DRIVER_LIBRARY = "libascend_hal.so"
_CONTAINER_FILES = ("/.dockerenv", "/run/.containerenv")
_CONTAINER_WORDS = ("docker", "kubepods", "containerd", "lxc", "libpod")
_HUAWEI = "0x19e5"
_PROCESSING_ACCELERATOR = "0x1200"


class Survey:
    """The machine, and what was found on it.

    Args:
        machine: The machine.
        pool: Runs what needs child processes.
    """

    def __init__(self, machine: Machine, pool: ThreadPoolExecutor) -> None:
        self.machine = machine
        self._imports: Future[imports.Imports] = pool.submit(imports.probe, machine)
        self._npu_smi: Future[npu_smi.NpuSmi] = pool.submit(npu_smi.query, machine)
        self._pythons: Future[list[OtherPython]] = pool.submit(find, machine)

    @property
    def imports(self) -> imports.Imports:
        """What children could import, and what frameworks decide."""
        return self._imports.result()

    @property
    def npu_smi(self) -> npu_smi.NpuSmi:
        """What npu-smi printed."""
        return self._npu_smi.result()

    @property
    def pythons(self) -> list[OtherPython]:
        """The Pythons that PATH finds."""
        return self._pythons.result()

    @cached_property
    def nodes(self) -> tuple[Path, ...]:
        """The device nodes of the NPUs."""
        return npu_device_nodes(self.machine.root)

    @cached_property
    def driver(self) -> str | None:
        """The version of the driver."""
        return driver_version(self.machine.root)

    @cached_property
    def pci_devices(self) -> list[str]:
        """The PCI addresses of Huawei's accelerators, which exist without a driver, too."""
        found = []
        folder = self.machine.path("/sys/bus/pci/devices")
        for device in sorted(folder.glob("*")):
            name = f"/sys/bus/pci/devices/{device.name}"
            kind = self.machine.read(f"{name}/class").strip()
            if kind.startswith(_PROCESSING_ACCELERATOR):
                vendor = self.machine.read(f"{name}/vendor").strip()
                found += [device.name] if vendor == _HUAWEI else []
        return found

    @cached_property
    def is_container(self) -> bool:
        """Whether this is a container."""
        if any(self.machine.exists(file) for file in _CONTAINER_FILES):
            return True
        first = self.machine.read("/proc/1/cgroup")
        return "container" in self.machine.environ or any(w in first for w in _CONTAINER_WORDS)

    @cached_property
    def torch(self) -> PackageInstall | None:
        """The installed torch."""
        return find_package("torch", self.machine.python.folders)

    @cached_property
    def torch_npu(self) -> PackageInstall | None:
        """The installed torch_npu."""
        return find_package("torch_npu", self.machine.python.folders)

    @cached_property
    def _cann(self) -> CannInstall | CannNotFoundError:
        try:
            return self._find_cann(need_headers=False)
        except CannNotFoundError as error:
            return error

    def _find_cann(self, *, need_headers: bool) -> CannInstall:
        machine = self.machine
        return CannInstall.find(
            machine.environ,
            filesystem_root=machine.root,
            machine=machine.architecture,
            need_headers=need_headers,
            log=False,
        )

    @property
    def cann(self) -> CannInstall | None:
        """The CANN install that wins, also one without headers."""
        return self._cann if isinstance(self._cann, CannInstall) else None

    @cached_property
    def toolkit(self) -> CannInstall | None:
        """The CANN install that ops are built with."""
        try:
            return self._find_cann(need_headers=True)
        except CannNotFoundError:
            return None

    @property
    def cann_refusals(self) -> tuple[str, ...]:
        """Why no place has a usable CANN; empty if one has."""
        return () if isinstance(self._cann, CannInstall) else self._cann.refusals

    @cached_property
    def all_canns(self) -> tuple[list[CannInstall], list[Refusal]]:
        """Every CANN install, and why other places were refused."""
        machine = self.machine
        return CannInstall.find_all(
            machine.environ, filesystem_root=machine.root, machine=machine.architecture
        )

    @cached_property
    def is_named(self) -> bool:
        """Whether a variable names the CANN that wins."""
        return self.cann is not None and self.cann.found_by in {each.name for each in VARIABLES}

    @cached_property
    def is_sourced(self) -> bool:
        """Whether the loader searches the CANN that wins."""
        folders = {os.path.realpath(folder) for folder in library_path(self.machine) if folder}
        cann = self.cann
        return cann is not None and any(
            os.path.realpath(folder) in folders for folder in cann.library_dirs
        )

    @cached_property
    def libraries(self) -> list[Resolved]:
        """What the libraries that torch_npu needs resolve to."""
        if self.torch_npu is None:
            return []
        loaded = [self.torch.library_dir] if self.torch else []
        return resolve(self.machine, self.torch_npu.library_dir / "libtorch_npu.so", loaded)

    @property
    def loads_driver(self) -> bool:
        """Whether the loader finds the driver's library for CANN."""
        return any(each.name == DRIVER_LIBRARY and each.path for each in self.libraries)

    def mount_of(self, path: Path) -> Mount | None:
        """Return the mount that a path is on."""
        return mount_of(self.machine, path)
