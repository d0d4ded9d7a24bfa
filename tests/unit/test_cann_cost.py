"""Finding CANN starts no process and opens few files; reading the driver's files."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import cann_trees
import pytest
from cann_trees import MACHINE, FakeMachine

from op_builder.cann import CannInstall, driver_version, npu_device_nodes
from op_builder.errors import CannNotFoundError


@pytest.fixture
def machine(tmp_path: Path) -> FakeMachine:
    return FakeMachine.below(tmp_path)


_events: list[tuple[str, tuple[object, ...]]] | None = None


def _hook(event: str, arguments: tuple[object, ...]) -> None:
    if _events is not None:
        _events.append((event, arguments))


@contextmanager
def _audited() -> Iterator[list[tuple[str, tuple[object, ...]]]]:
    """Record Python's opens, listings, processes and imports."""
    global _events
    if not hasattr(_audited, "installed"):  # a hook cannot be removed again
        sys.addaudithook(_hook)
        _audited.installed = True  # type: ignore[attr-defined]
    _events = []
    try:
        yield _events
    finally:
        _events = None


def test_upstream_13_no_device_no_driver_no_process(machine: FakeMachine) -> None:
    """vllm-ascend #6816, #7278, #6264: building needed npu-smi, or loaded a device library."""
    root = cann_trees.cann_9_1(machine.base)
    assert not (machine.filesystem_root / "dev").exists()
    with _audited() as events:
        found = machine.find()
    assert found.root == root
    started = ("subprocess.", "os.exec", "os.fork", "os.posix_spawn", "os.system", "ctypes.")
    assert [event for event, _ in events if event.startswith(started)] == []
    assert [arguments for event, arguments in events if event == "import"] == []
    assert "torch_npu" not in sys.modules


def _opened(events: list[tuple[str, tuple[object, ...]]]) -> list[str]:
    return [str(arguments[0]) for event, arguments in events if event == "open"]


def test_a_normal_install_costs_one_file_per_question(machine: FakeMachine) -> None:
    root = cann_trees.cann_9_1(machine.base)
    cann_trees.record(machine.etc, "/usr/local/Ascend")
    with _audited() as events:
        machine.find(ASCEND_HOME_PATH=machine.base / "cann")
    assert _opened(events) == [
        str(machine.etc / "ascend_cann_install.info"),
        str(machine.own / "ascend_cann_install.info"),
        str(root / f"{MACHINE}-linux" / "ascend_toolkit_install.info"),
    ]
    assert not [event for event, _ in events if event in ("os.listdir", "os.scandir")]


def test_no_walk_of_a_large_tree(machine: FakeMachine) -> None:
    """If nothing names CANN, only two levels of folders are listed, whatever they contain."""
    root = cann_trees.cann(machine.base, "9.1.0", linked=False)
    for index in range(200):
        cann_trees.write(machine.base / "data" / str(index) / "deep" / "version.info")
        cann_trees.write(root / "opp" / "built-in" / str(index) / "version.info")
    with _audited() as events:
        found = machine.find()
    assert found.root == root
    listed = [str(arguments[0]) for event, arguments in events if event == "os.scandir"]
    listed += [str(arguments[0]) for event, arguments in events if event == "os.listdir"]
    assert set(listed) <= {str(machine.base), str(machine.base / "ascend-toolkit")}
    assert len(_opened(events)) == 3


@pytest.mark.parametrize(
    ("lines", "version"),
    [
        (["Version=25.3.rc1", "ascendhal_version=7.35.23"], "25.3.rc1"),
        (["package_version=26.0.rc1", "ascendhal_version=7.35.23"], "26.0.rc1"),
        (["Version=24.1.rc3", "package_version=24.1.rc3"], "24.1.rc3"),
        (["ascendhal_version=7.35.23"], None),
    ],
)
def test_the_version_of_the_driver(tmp_path: Path, lines: list[str], version: str | None) -> None:
    cann_trees.driver(tmp_path, *lines, base="/opt/driver")
    assert driver_version(tmp_path) == version


def test_a_container_has_the_version_but_not_the_record(tmp_path: Path) -> None:
    cann_trees.driver(tmp_path, "Version=25.3.rc1")
    (tmp_path / "etc" / "ascend_install.info").unlink()
    assert driver_version(tmp_path) == "25.3.rc1"


@pytest.mark.parametrize("base", ["relative", "/gone", "/a\0b"])
def test_no_driver(tmp_path: Path, base: str) -> None:
    assert driver_version(tmp_path) is None
    record = tmp_path / "etc" / "ascend_install.info"
    cann_trees.write(record, f"Driver_Install_Path_Param={base}")
    assert driver_version(tmp_path) is None


def test_device_nodes(tmp_path: Path) -> None:
    assert npu_device_nodes(tmp_path) == ()
    for name in ("davinci_manager", "davinci1x", "davinci", "null"):
        cann_trees.write(tmp_path / "dev" / name)
    assert npu_device_nodes(tmp_path) == ()
    for number in (10, *range(8), 15, 9):
        cann_trees.write(tmp_path / "dev" / f"davinci{number}")
    names = [node.name for node in npu_device_nodes(tmp_path)]
    assert names == [f"davinci{number}" for number in (*range(8), 9, 10, 15)]


def test_the_real_machine_answers() -> None:
    """On the real machine: the result is an install or CannNotFoundError."""
    with suppress(CannNotFoundError):
        assert CannInstall.find().root.is_dir()
    assert isinstance(driver_version(), str | None)
    assert isinstance(npu_device_nodes(), tuple)
