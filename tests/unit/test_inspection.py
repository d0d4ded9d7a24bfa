"""The state of an op and of a machine, as a report shows it."""

from __future__ import annotations

import platform
from pathlib import Path

import cann_trees
import pytest
from cache_entries import Shelf, toolchain
from cann_trees import unreadable
from fake_compilers import OLD_GCC
from made_up_builders import ImpossibleBuilder, MadeUpBuilder
from outside_op import OutsideOp
from user_folders import UserFolders

from op_builder import envs
from op_builder.cache.layers import Layer
from op_builder.report import inspection
from op_builder.report.inspection import OpState, op_state
from op_builder.toolchain.torch_install import PackageInstall


def test_an_op_that_is_nowhere_is_buildable(outside_op: OutsideOp) -> None:
    assert op_state(MadeUpBuilder()) == OpState("made_up", "buildable", "made_up_builders")


def test_an_op_that_was_built_is_cached(outside_op: OutsideOp) -> None:
    entry = outside_op.publish()
    found = op_state(MadeUpBuilder())
    assert (found.state, found.library, found.build_seconds) == ("cached", entry.library, 1.5)


def test_an_op_that_was_shipped_is_prebuilt(outside_op: OutsideOp) -> None:
    shipped = Layer("prebuilt", MadeUpBuilder().prebuilt_dir(), shipped=True)
    entry = Shelf(shipped, MadeUpBuilder().plan().spec).publish()
    found = op_state(MadeUpBuilder())
    assert (found.state, found.library) == ("prebuilt", entry.library)


def test_an_impossible_op_has_every_reason() -> None:
    found = op_state(ImpossibleBuilder())
    assert found.state == "unavailable"
    assert found.reasons == ["there is no NPU", "the moon is full"]


def test_an_op_whose_sources_are_gone_is_unavailable(outside_op: OutsideOp) -> None:
    (outside_op.source / "a.cpp").unlink()
    found = op_state(MadeUpBuilder())
    assert found.state == "unavailable"
    assert "a.cpp cannot be read" in found.reasons[0]


def test_without_a_compiler_an_op_is_unavailable_and_the_reason_is_the_compilers(
    outside_op: OutsideOp, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CXX", f"'{outside_op.toolbox.compiler('old++', OLD_GCC)}'")
    found = op_state(MadeUpBuilder())
    assert found.state == "unavailable"
    assert "is gcc 8.5.0, but must be 9.0 or newer" in found.reasons[0]
    assert "dnf install gcc-c++" in found.reasons[0]


def test_upstream_21_a_missing_op_is_unavailable_if_jit_is_forbidden(
    outside_op: OutsideOp, monkeypatch: pytest.MonkeyPatch
) -> None:
    """flashinfer #2093, #1828: gaps in an ahead-of-time build are found late."""
    monkeypatch.setenv("ASCEND_OPS_JIT", "0")
    found = op_state(MadeUpBuilder())
    assert (found.state, found.reasons) == (
        "unavailable",
        ["ASCEND_OPS_JIT=0 disables building it"],
    )
    entry = outside_op.publish()
    assert op_state(MadeUpBuilder()).state == "cached"
    entry.library.write_bytes(b"damaged")
    assert "content differs" in op_state(MadeUpBuilder()).reasons[1]


def test_the_components_of_this_machine(outside_op: OutsideOp) -> None:
    found = {part.name: part for part in inspection.components(MadeUpBuilder().toolchain())}
    assert list(found) == ["Python", "torch", "torch_npu", "CANN", "compiler", "compile jobs"]
    assert found["compiler"].version == "gcc 13.2.1"
    assert found["compiler"].detail == str(outside_op.toolbox.folder / "my++")
    assert found["compile jobs"].detail.startswith("limited by ")


def test_what_is_missing_is_reported_with_the_reason(
    outside_op: OutsideOp, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CXX", "no_such++")
    monkeypatch.setenv("ASCEND_HOME_PATH", "/no/cann")
    found = {part.name: part for part in inspection.components(MadeUpBuilder().toolchain())}
    assert found["compiler"].version is None
    assert found["compiler"].detail.startswith("no_such++: not found on PATH")
    assert found["CANN"].version is None
    assert "/no/cann" in found["CANN"].detail
    assert found["CANN"].detail == "; ".join(found["CANN"].looked_at)
    assert found["compiler"].looked_at[0].startswith("no_such++: not found on PATH")


def test_the_places_and_their_state(tmp_path: Path, user_folders: UserFolders) -> None:
    environ = envs.process_environment()
    found = inspection.places(environ, tmp_path / "prebuilt")
    assert [(place.name, place.state) for place in found] == [
        ("prebuilt", "empty"),
        ("user", "not created yet"),
        ("temporary", "not created yet"),
        ("locks", "not created yet"),
    ]
    for folder in (tmp_path / "prebuilt", user_folders.cache, user_folders.locks):
        folder.mkdir(mode=0o755)
    user_folders.cache.chmod(0o777)
    states = {
        place.name: place.state for place in inspection.places(environ, tmp_path / "prebuilt")
    }
    assert states["prebuilt"] == "read-only"
    assert states["user"].startswith("refused: ")
    assert states["locks"] == "exists"
    user_folders.cache.chmod(0o700)
    states = {
        place.name: place.state for place in inspection.places(environ, tmp_path / "prebuilt")
    }
    assert states["user"] == "writable"


def test_places_that_cannot_be_read_are_not_an_error(
    tmp_path: Path, user_folders: UserFolders
) -> None:
    """A container's user may have HOME=/root."""
    environ = envs.process_environment()
    with unreadable(user_folders.cache.parent):
        found = inspection.places(environ, tmp_path / "prebuilt")
    assert {place.state for place in found} == {"empty", "not created yet"}


def test_upstream_23_a_torch_that_cannot_be_imported_is_foreseen(tmp_path: Path) -> None:
    """With torch_npu installed and CANN not sourced, `import torch` fails."""
    torch = PackageInstall(tmp_path, "2.13.0+cpu", "")
    npu = PackageInstall(tmp_path, "2.13.0", "")
    environ = {"HOME": str(tmp_path), "ASCEND_HOME_PATH": str(tmp_path / "gone")}
    assert inspection.version_findings(toolchain(environ=environ)) == []
    machine = toolchain(environ=environ, torch=torch, torch_npu=npu)
    (finding,) = [f for f in inspection.version_findings(machine) if "libhccl.so" in f.message]
    assert finding.severity == "warning"
    assert "TORCH_DEVICE_BACKEND_AUTOLOAD=0" in finding.message


def test_the_emulated_cann_fits_any_torch_npu(tmp_path: Path) -> None:
    """Its libraries are compiled against the headers of the installed torch_npu."""
    root = str(cann_trees.cann(tmp_path, "9.1.0", platform.machine(), linked=False))
    torch = PackageInstall(tmp_path, "2.13.0+cpu", "")
    npu = PackageInstall(tmp_path, "2.13.0", "")
    real = {"HOME": str(tmp_path / "home"), "ASCEND_HOME_PATH": root}
    emulated = {**real, "ASCEND_EMULATOR_HOME": root}
    machine = toolchain(environ=real, torch=torch, torch_npu=npu)
    (finding,) = inspection.version_findings(machine)
    assert "newer than the table" in finding.message
    machine = toolchain(environ=emulated, torch=torch, torch_npu=npu)
    assert inspection.version_findings(machine) == []
    (other_torch,) = inspection.version_findings(
        toolchain(environ=emulated, torch=PackageInstall(tmp_path, "2.12.0", ""), torch_npu=npu)
    )
    assert other_torch.severity == "error"


def test_the_emulated_cann_is_called_so(
    outside_op: OutsideOp, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = str(cann_trees.cann(tmp_path, "9.1.0", platform.machine(), linked=False))
    monkeypatch.setenv("ASCEND_HOME_PATH", root)
    details = []
    for emulated in ("", root):
        monkeypatch.setenv("ASCEND_EMULATOR_HOME", emulated)
        parts = inspection.components(MadeUpBuilder().toolchain())
        details += [part.detail for part in parts if part.name == "CANN"]
    assert details == [f"{root}, ASCEND_HOME_PATH", f"{root}, ASCEND_HOME_PATH, emulated"]
