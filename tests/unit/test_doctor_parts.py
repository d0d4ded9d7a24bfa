"""Parts of the doctor: the loader's search, mounts, the pip line, permissions, probes."""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import sys
from pathlib import Path

import fake_machines as fakes
import pytest
from elf_files import library
from fake_machines import FakeMachine, mount

from ascend_ops.doctor import User, imports, mounts, packages
from ascend_ops.doctor.loader import resolve
from ascend_ops.doctor.npu_smi import query
from ascend_ops.doctor.survey import Survey
from op_builder.cann import CannVersion
from op_builder.system.elf import read_loader_entries


@pytest.fixture
def fake(tmp_path: Path) -> FakeMachine:
    """Provide a machine that has nothing."""
    return FakeMachine(tmp_path, {"LD_LIBRARY_PATH": "", "PATH": str(tmp_path / "bin")})


def where(fake: FakeMachine, start: Path) -> dict[str, str | None]:
    """Return where each library is found, relative to the machine's root."""
    return {
        each.name: None if each.path is None else str(each.path.relative_to(fake.root))
        for each in resolve(fake.machine, start)
    }


def test_the_entries_of_a_library(tmp_path: Path) -> None:
    file = library(
        tmp_path / "liba.so", needed=["libb.so", "libc.so.6"], rpath="$ORIGIN/x:/y", runpath="/z",
        machine="aarch64",
    )  # fmt: skip
    found = read_loader_entries(file)
    assert found is not None
    assert found.needed == ("libb.so", "libc.so.6")
    assert (found.rpath, found.runpath, found.machine) == (("$ORIGIN/x", "/y"), ("/z",), 183)


def test_the_order_of_the_loader(fake: FakeMachine) -> None:
    """DT_RPATH, LD_LIBRARY_PATH, DT_RUNPATH, ld.so.conf, the system's folders."""
    start = library(fake.root / "p" / "start.so", needed=["a.so"], rpath="$ORIGIN/r")
    places = ["p/r", "v", "etc-conf", "usr/lib"]
    for place in places:
        library(fake.root / place / "a.so")
    fake.environ["LD_LIBRARY_PATH"] = str(fake.root / "v")
    fake.write("/etc/ld.so.conf", "include ld.so.conf.d/*.conf")
    fake.write("/etc/ld.so.conf.d/x.conf", "/etc-conf  # a comment")
    for place in places:
        assert where(fake, start) == {"a.so": f"{place}/a.so"}
        fake.remove(f"{place}/a.so")
    assert where(fake, start) == {"a.so": None}


def test_a_runpath_comes_after_the_variable_and_disables_the_rpath(fake: FakeMachine) -> None:
    start = library(fake.root / "start.so", needed=["a.so"], rpath="$ORIGIN/r", runpath="$ORIGIN/u")
    for place in ("r", "v", "u"):
        library(fake.root / place / "a.so")
    fake.environ["LD_LIBRARY_PATH"] = str(fake.root / "v")
    assert where(fake, start) == {"a.so": "v/a.so"}
    fake.environ["LD_LIBRARY_PATH"] = ""
    assert where(fake, start) == {"a.so": "u/a.so"}
    fake.remove("u/a.so")
    assert where(fake, start) == {"a.so": None}


def test_an_rpath_is_inherited_and_a_foreign_library_is_skipped(fake: FakeMachine) -> None:
    start = library(fake.root / "start.so", needed=["a.so"], rpath="$ORIGIN/r")
    library(fake.root / "r" / "a.so", needed=["b.so"])
    library(fake.root / "r" / "b.so", machine="aarch64")
    library(fake.root / "usr" / "lib" / "b.so", needed=["a.so"])
    assert where(fake, start) == {"a.so": "r/a.so", "b.so": "usr/lib/b.so"}
    (found,) = [each for each in resolve(fake.machine, start) if each.name == "b.so"]
    assert found.skipped == (fake.root / "r" / "b.so",)


def test_the_search_agrees_with_the_loader_of_this_system() -> None:
    """What is found for this Python's own extension modules is what ldd prints."""
    from ascend_ops.doctor import this_machine

    module = Path(__import__("_ctypes").__file__ or "")
    if not module.is_file():
        pytest.skip("this Python contains _ctypes")
    printed = subprocess.run(["ldd", module], capture_output=True, text=True, check=False).stdout
    expected = dict(line.split()[0::2][:2] for line in printed.splitlines() if "=> /" in line)
    found = {each.name: each.path for each in resolve(this_machine(), module)}
    for name, path in expected.items():
        resolved = found[name]
        assert resolved is not None
        assert resolved.samefile(path)


def test_mounts(fake: FakeMachine) -> None:
    spaced = str(fake.root / "a folder").replace(" ", "\\040")
    fake.write(
        "/proc/self/mountinfo",
        mount("/", "overlay"), mount(spaced, "nfs4", "rw,noexec"), "broken line",
        mount(fake.root, "ext4"), mount(fake.root, "xfs"),
    )  # fmt: skip
    found = mounts.mount_of(fake.machine, fake.root / "a folder" / "below")
    assert found is not None
    assert (found.kind, found.is_network, "noexec" in found.options) == ("nfs4", True, True)
    hides = mounts.mount_of(fake.machine, fake.root / "other")
    assert hides is not None
    assert hides.kind == "xfs"


@pytest.mark.parametrize(
    ("uid", "groups", "mode", "expected"),
    [
        (0, set(), 0o000, True),
        (7, set(), 0o660, False),
        (7, {os.getgid()}, 0o660, True),
        (7, {os.getgid()}, 0o606, False),
        (7, set(), 0o606, True),
        (7, {os.getgid()}, 0o640, False),
    ],
)
def test_permissions(uid: int, groups: set[int], mode: int, expected: bool, tmp_path: Path) -> None:
    node = tmp_path / "davinci0"
    node.touch()
    node.chmod(mode)
    assert User(uid, 7, frozenset(groups)).may_use(node.stat()) is expected


@pytest.mark.parametrize(
    ("architecture", "python", "cann", "torch", "line"),
    [
        ("x86_64", (3, 11, 0), "8.5.0", None, "torch==2.9.0+cpu torch_npu==2.9.0 --extra-index"),
        ("aarch64", (3, 11, 0), "8.5.0", None, "torch==2.9.0 torch_npu==2.9.0"),
        ("aarch64", (3, 11, 0), "9.1.0", None, "torch==2.12.0+cpu torch_npu==2.12.0.post2"),
        ("x86_64", (3, 9, 0), "8.5.0", None, "torch==2.8.0+cpu torch_npu==2.8.0.post2"),
        ("x86_64", (3, 11, 0), "9.1.0", "2.10.0+cpu", "torch==2.10.0+cpu torch_npu==2.10.0.post6"),
        ("x86_64", (3, 14, 0), "8.3.RC1", None, "python3.13 -m venv ascend && ./ascend/bin/python"),
    ],
)
def test_the_pip_line_is_for_this_python_architecture_and_cann(
    architecture: str,
    python: tuple[int, int, int],
    cann: str,
    torch: str | None,
    line: str,
    fake: FakeMachine,
) -> None:
    fake.architecture, fake.version = architecture, python
    remedy = packages.install_line(fake.machine, CannVersion.parse(cann), torch)
    assert line in remedy.command
    if architecture == "aarch64" and cann == "8.5.0":
        assert "index" not in remedy.command
    assert shlex.split(remedy.command)[0] in (sys.executable, "python3.13")


def test_npu_smi_of_one_machine(tmp_path: Path) -> None:
    fake = fakes.healthy(tmp_path)
    fake.script("/usr/local/bin/npu-smi", fakes.SMI.replace("{health}", "Alarm "))
    found = query(fake.machine)
    assert found.version == "25.3.rc1"
    assert [(chip.number, chip.name, chip.health) for chip in found.chips] == [
        (0, "910B2", "OK"),
        (1, "910B2", "Alarm"),
    ]


def _probed(fake: FakeMachine, *names: str) -> dict[str, dict[str, object]]:
    script = Path(imports.__file__).with_name("probe_script.py").read_text()
    done = subprocess.run(
        [sys.executable, "-S", "-c", script, "60", *names],
        env=fake.environ, capture_output=True, text=True, check=True,
    )  # fmt: skip
    return {line["probe"]: line for line in map(json.loads, done.stdout.splitlines())}


def test_a_framework_whose_files_are_elsewhere_is_imported_as_a_whole(tmp_path: Path) -> None:
    """Another version: the module that decides has moved, and the package itself offers it."""
    fake = fakes.healthy(tmp_path)
    fake.remove("usr/lib/site-packages/accelerate")
    fake.wheel("accelerate", "9.9", "loaded = True\n")
    code = "import accelerate\ndef is_npu_available():\n    return accelerate.loaded\n"
    (fake.site / "accelerate" / "utils").mkdir()
    (fake.site / "accelerate" / "utils" / "__init__.py").write_text("")
    (fake.site / "accelerate" / "utils" / "imports.py").write_text(f"{code}from . import missing\n")
    assert "error" in _probed(fake, "accelerate")["accelerate"]
    (fake.site / "accelerate" / "utils" / "__init__.py").write_text("missing = 1\n")
    assert _probed(fake, "accelerate")["accelerate"]["answer"] == "npu"


def test_output_of_a_package_does_not_count_as_an_answer(tmp_path: Path) -> None:
    fake = fakes.healthy(tmp_path)
    noisy = 'print(\'{"probe": "torch", "answer": 1}\')\nprint(\'[1]\')\n'
    fake.framework("deepspeed", noisy + fakes.DECISIONS["deepspeed/accelerator/__init__.py"])
    found = imports.probe(fake.machine)
    assert found.usual["deepspeed"].value == "npu"
    assert found.usual["torch"].value["version"] == "2.12.0+cpu"


def test_the_current_folder_hides_no_package(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fake = fakes.healthy(tmp_path / "machine")
    (tmp_path / "torch.py").write_text("raise RuntimeError('a file of the current folder')\n")
    monkeypatch.chdir(tmp_path)
    assert imports.probe(fake.machine).usual["torch"].is_good


def test_a_survey_finds_pci_devices_and_containers(fake: FakeMachine) -> None:
    from concurrent.futures import ThreadPoolExecutor

    fake.write("/sys/bus/pci/devices/0000:01:00.0/vendor", "0x19e5")
    fake.write("/sys/bus/pci/devices/0000:01:00.0/class", "0x020000")  # a network card of Huawei
    with ThreadPoolExecutor(3) as pool:
        survey = Survey(fake.machine, pool)
        assert survey.pci_devices == []
        assert not survey.is_container
        assert survey.cann is None
        assert survey.pythons == []
