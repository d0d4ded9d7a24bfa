"""Fake CANN installs: the folders, links and small files of real ones, a few bytes each.

Each builder takes the folder that stands for ``/usr/local/Ascend`` and returns the install's root.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from op_builder.cann import CannInstall
from op_builder.errors import CannNotFoundError

MACHINE = "x86_64"
OTHER_MACHINE = "aarch64"


def write(path: Path, *lines: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    return path


def link(path: Path, target: Path | str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.symlink_to(target)
    return path


def install_info(path: Path, package: str, version: str, machine: str = MACHINE) -> Path:
    return write(
        path,
        f"package_name=Ascend-cann-{package}",
        f"version={version}",
        "innerversion=V100R001C23SPC002B210",
        "compatible_version=[V100R001C15],[V100R001C18],[V100R001C19],[V100R001C20]",
        f"arch={machine}",
        "os=linux",
        f"path={path.parent}",
    )


def headers_and_library(root: Path, machine: str = MACHINE) -> Path:
    """Create the architecture's folder, and ``include`` and ``lib64`` as links to it."""
    arch = root / f"{machine}-linux"
    write(arch / "include" / "acl" / "acl.h", "// acl.h")
    write(arch / "lib64" / "libascendcl.so", "a library")
    link(root / "include", f"{machine}-linux/include")
    link(root / "lib64", f"{machine}-linux/lib64")
    (root / "opp").mkdir()
    return root


def toolkit(base: Path, version: str, machine: str = MACHINE, *, latest: bool = True) -> Path:
    """Create CANN 8.0 to 8.3: ``ascend-toolkit/<version>``, and ``latest`` if it is in use."""
    root = headers_and_library(base / "ascend-toolkit" / version, machine)
    install_info(
        root / f"{machine}-linux" / "ascend_toolkit_install.info", "toolkit", version, machine
    )
    write(
        root / "version.cfg",
        "# version: 1.0",
        f"runtime_running_version=[7.6.0.1.220:{version}]",
        f"compiler_running_version=[7.6.0.1.220:{version}]",
    )
    write(root / "runtime" / "version.info", "Version=1.83.T8.0.B128")
    write(root / "runtime" / "lib64" / "stub" / "libascendcl.so", "a stub")
    if latest:
        link(base / "ascend-toolkit" / "latest", version)
    return root


def toolkit_8_3(base: Path) -> Path:
    return toolkit(base, "8.3.RC2")


def toolkit_with_folder_of_links(base: Path, version: str = "8.0.0") -> Path:
    """Create ``latest`` as a folder of links, as installers before 8.5 did."""
    root = toolkit(base, version, latest=False)
    for entry in sorted(root.iterdir()):
        link(base / "ascend-toolkit" / "latest" / entry.name, f"../{version}/{entry.name}")
    return root


def cann(base: Path, version: str, machine: str = MACHINE, *, linked: bool = True) -> Path:
    """Create CANN 8.5 or newer: ``cann-<version>``, and the link ``cann`` if it is in use."""
    root = headers_and_library(base / f"cann-{version}", machine)
    arch = root / f"{machine}-linux"
    install_info(arch / "ascend_toolkit_install.info", "toolkit", version, machine)
    install_info(arch / "ascend_ops_install.info", "910b-ops", "1.2.3", machine)
    for package, stated in (("runtime", version), ("asc-devkit", version), ("mstx", "26.2.0")):
        write(
            root / "share" / "info" / package / "version.info",
            f"Version={stated}",
            "version_dir=cann",
            'required_package_runtime_version=">=8.5"',
            "timestamp=20260101_000000000",
        )
    write(root / "devlib" / "libascend_hal.so", "a stub")
    if linked:
        link(base / "cann", f"cann-{version}")
    return root


def cann_9_1(base: Path) -> Path:
    return cann(base, "9.1.0")


def nnae(base: Path, version: str = "8.0.0") -> Path:
    """Create the engine without the toolkit's tools: flat, with its install info at the root."""
    root = base / "nnae" / version
    write(root / "include" / "acl" / "acl.h", "// acl.h")
    write(root / "lib64" / "libascendcl.so", "a library")
    install_info(root / "ascend_nnae_install.info", "nnae", version)
    link(base / "nnae" / "latest", version)
    return root


def nnrt(base: Path, version: str = "8.0.0", machine: str = MACHINE) -> Path:
    """Create the runtime alone: libraries without headers."""
    root = base / "nnrt" / version
    write(root / f"{machine}-linux" / "lib64" / "libascendcl.so", "a library")
    link(root / "lib64", f"{machine}-linux/lib64")
    install_info(root / f"{machine}-linux" / "ascend_nnrt_install.info", "nnrt", version, machine)
    link(base / "nnrt" / "latest", version)
    return root


def bare(root: Path) -> Path:
    """Create headers and a library, without a file that contains a version."""
    return headers_and_library(root)


def record(folder: Path, install_path: Path | str) -> Path:
    """Write ``ascend_cann_install.info``, in ``/etc/Ascend`` or ``$HOME/Ascend``."""
    return write(folder / "ascend_cann_install.info", f"Install_Path={install_path}")


def driver(filesystem_root: Path, *lines: str, base: str = "/usr/local/Ascend") -> None:
    """Create the driver's record, its ``version.info`` and the devices of two NPUs."""
    write(
        filesystem_root / "etc" / "ascend_install.info",
        "UserName=HwHiAiUser",
        "UserGroup=HwHiAiUser",
        f"Driver_Install_Path_Param={base}",
    )
    write(filesystem_root / base.lstrip("/") / "driver" / "version.info", *lines)


@contextmanager
def unreadable(folder: Path) -> Iterator[None]:
    """Make ``folder`` unreadable. Root can read everything, so it becomes another user."""
    before = folder.stat().st_mode
    folder.chmod(0o000)
    is_root = os.geteuid() == 0
    try:
        if is_root:
            os.seteuid(65534)
        yield
    finally:
        if is_root:
            os.seteuid(0)
        folder.chmod(before)


@dataclass(frozen=True)
class FakeMachine:
    """A fake machine: its ``/``, its ``/usr/local/Ascend`` and the user's home."""

    filesystem_root: Path
    home: Path

    @property
    def base(self) -> Path:
        return self.filesystem_root / "usr" / "local" / "Ascend"

    @property
    def etc(self) -> Path:
        return self.filesystem_root / "etc" / "Ascend"

    @property
    def own(self) -> Path:
        return self.home / "Ascend"

    def find(
        self, *, machine: str = MACHINE, need_headers: bool = True, **environ: Path | str
    ) -> CannInstall:
        return CannInstall.find(
            {name: str(value) for name, value in environ.items()},
            filesystem_root=self.filesystem_root,
            home=self.home,
            machine=machine,
            need_headers=need_headers,
        )

    def refusals(
        self, *, machine: str = MACHINE, need_headers: bool = True, **environ: Path | str
    ) -> str:
        with pytest.raises(CannNotFoundError) as caught:
            self.find(machine=machine, need_headers=need_headers, **environ)
        return "\n".join(caught.value.refusals)

    @classmethod
    def below(cls, folder: Path) -> FakeMachine:
        home = folder / "home" / "user"
        home.mkdir(parents=True)
        (folder / "root").mkdir()
        return cls(folder / "root", home)
