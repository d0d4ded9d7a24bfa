"""Working folders in a cache: those of processes that are gone are removed."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from op_builder.cache import staging
from op_builder.cache.layers import Layer


@pytest.fixture
def layer(tmp_path: Path) -> Layer:
    (tmp_path / "cache").mkdir(mode=0o700)
    return Layer("user", tmp_path / "cache", shipped=False)


def _names(layer: Layer) -> set[str]:
    return set(os.listdir(layer.root / "staging"))  # noqa: PTH208


LEAVE_A_FOLDER = """
import os, sys
from pathlib import Path
from op_builder.cache.layers import Layer
from op_builder.cache.staging import staging
with staging(Layer("user", Path(sys.argv[1]), shipped=False), "op") as folder:
    (folder / "object.o").write_bytes(b"x")
    print(folder.name, flush=True)
    sys.stdin.read()
    os.kill(os.getpid(), 9)
"""


def _left_behind(layer: Layer) -> tuple[subprocess.Popen[str], str]:
    child = subprocess.Popen(
        [sys.executable, "-c", LEAVE_A_FOLDER, str(layer.root)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert child.stdout is not None
    return child, child.stdout.readline().strip()


def test_folder_of_a_killed_process_is_removed_by_the_next_build(layer: Layer) -> None:
    child, name = _left_behind(layer)
    with staging.staging(layer, "other"):
        assert name in _names(layer), "its process still runs"
    child.communicate("")
    with staging.staging(layer, "other") as folder:
        assert _names(layer) == {folder.name}
    assert _names(layer) == set()


@pytest.mark.parametrize("change", ["machine", "start"])
def test_process_id_of_another_machine_or_process_is_not_confused(
    layer: Layer, change: str
) -> None:
    """After a reboot the same process ID means another process; elsewhere it means nothing."""
    with staging.staging(layer, "op") as folder:
        op, machine, pid, start, unique = folder.name.split("-")
        if change == "machine":
            other = f"{op}-{'0' * 12}-4194300-{start}-{unique}"
        else:
            other = f"{op}-{machine}-{pid}-{int(start) - 1}-{unique}"
        (folder.parent / other).mkdir()
        with staging.staging(layer, "op"):
            assert folder.name in _names(layer)
            assert (other in _names(layer)) == (change == "machine")


@pytest.mark.parametrize(
    "name", ["", "killed-1-2", "refused-0123", "a-b-c-d-e", "op-----", "op-x-1-2-3-4"]
)
def test_folders_with_other_names_are_left_alone(layer: Layer, name: str) -> None:
    (layer.root / "staging" / name).mkdir(parents=True)
    with staging.staging(layer, "op"):
        assert (layer.root / "staging" / name).is_dir()
