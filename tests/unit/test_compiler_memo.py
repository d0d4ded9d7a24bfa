"""A compiler's output is memoized until its files change."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from fake_compilers import CLANG, GCC, FakeToolbox
from file_clock import wait_for_a_later_time

from op_builder.errors import CompilerNotFoundError
from op_builder.toolchain.compiler import find_compiler
from op_builder.toolchain.environment import script_words


@pytest.fixture
def toolbox(tmp_path: Path) -> FakeToolbox:
    folder = tmp_path / "bin"
    folder.mkdir()
    return FakeToolbox(folder)


@pytest.fixture
def memo_dir(tmp_path: Path, old_files: None) -> Path:
    return tmp_path / "cache" / "toolchain"


def test_a_known_compiler_is_not_run_again(toolbox: FakeToolbox, memo_dir: Path) -> None:
    toolbox.compiler("g++", GCC)
    first = find_compiler(toolbox.environ, memo_dir)
    runs = len(toolbox.calls())
    assert runs > 0
    assert find_compiler(toolbox.environ, memo_dir) == first
    assert len(toolbox.calls()) == runs
    find_compiler({**toolbox.environ, "CXX": "g++ -m64"}, memo_dir)  # another command
    assert len(toolbox.calls()) == 2 * runs


def test_a_memo_of_another_version_is_ignored(toolbox: FakeToolbox, memo_dir: Path) -> None:
    toolbox.compiler("g++", GCC)
    first = find_compiler(toolbox.environ, memo_dir)
    (memo,) = memo_dir.glob("*.json")
    content = json.loads(memo.read_text(encoding="utf-8"))
    del content[0]["fact"]["lists"]
    memo.write_text(json.dumps(content), encoding="utf-8")
    assert find_compiler(toolbox.environ, memo_dir) == first


def test_a_known_compiler_uses_the_temporary_folder_of_this_process(
    toolbox: FakeToolbox, memo_dir: Path, tmp_path: Path
) -> None:
    """A job of a cluster has one of its own, which is deleted after the job."""
    toolbox.compiler("g++", GCC)
    find_compiler({**toolbox.environ, "TMPDIR": str(tmp_path)}, memo_dir)
    runs = len(toolbox.calls())
    other = tmp_path / "other"
    other.mkdir()
    found = find_compiler({**toolbox.environ, "TMPDIR": str(other)}, memo_dir)
    assert found.environ["TMPDIR"] == str(other)
    assert "TMPDIR" not in find_compiler(toolbox.environ, memo_dir).environ
    assert len(toolbox.calls()) == runs


def test_native_flags_are_queried_once(toolbox: FakeToolbox, memo_dir: Path) -> None:
    toolbox.compiler("g++", GCC)
    found = find_compiler(toolbox.environ, memo_dir)
    answers = [found.native_flags(memo_dir) for _ in range(3)]
    assert len(set(answers)) == 1
    assert len([call for call in toolbox.calls() if "-###" in call]) == 1


@pytest.mark.parametrize("changed", ["g++", "tools/cc1plus", "tools/as", "tools/ld"])
def test_a_change_of_any_file_behind_it_probes_again(
    toolbox: FakeToolbox, memo_dir: Path, changed: str
) -> None:
    toolbox.compiler("g++", GCC)
    find_compiler(toolbox.environ, memo_dir)
    runs = len(toolbox.calls())
    file = toolbox.folder / changed
    copy = file.with_suffix(".new")
    shutil.copy2(file, copy)  # same bytes and times, as a package upgrade may leave them
    copy.replace(file)
    find_compiler(toolbox.environ, memo_dir)
    assert len(toolbox.calls()) == 2 * runs


def test_an_upgrade_in_place_is_seen(toolbox: FakeToolbox, memo_dir: Path) -> None:
    toolbox.compiler("g++", GCC)
    assert find_compiler(toolbox.environ, memo_dir).version == "13.2.1"
    wait_for_a_later_time(toolbox.folder / "g++")
    toolbox.compiler("g++", {**GCC, "__GNUC__": 14})
    assert find_compiler(toolbox.environ, memo_dir).version == "14.2.1"
    wait_for_a_later_time(toolbox.folder / "g++")
    toolbox.compiler("g++", {})
    with pytest.raises(CompilerNotFoundError):
        find_compiler(toolbox.environ, memo_dir)


def test_machines_that_share_a_home_keep_each_others_compilers(
    memo_dir: Path, tmp_path: Path
) -> None:
    """They have different compilers at the same path."""
    place = tmp_path / "machine"
    boxes = []
    for name, version in (("one", 13), ("other", 14)):
        (tmp_path / name).mkdir()
        boxes.append(FakeToolbox(tmp_path / name))
        boxes[-1].compiler("g++", {**GCC, "__GNUC__": version})
    calls = []
    for box in [*boxes, *boxes, *boxes]:
        place.unlink(missing_ok=True)
        place.symlink_to(box.folder)
        version = "13.2.1" if box is boxes[0] else "14.2.1"
        assert find_compiler({"PATH": str(place)}, memo_dir).version == version
        calls.append(sum(len(each.calls()) for each in boxes))
    assert calls[1:] == [calls[1]] * 5


def test_a_script_is_known_until_it_or_the_compiler_that_it_runs_changes(
    toolbox: FakeToolbox, memo_dir: Path
) -> None:
    hidden = toolbox.compiler("hidden", GCC, folder=toolbox.folder / "lib")
    toolbox.wrapper(toolbox.folder / "g++", [hidden])
    assert find_compiler(toolbox.environ, memo_dir).family == "gcc"
    runs = len(toolbox.calls())
    find_compiler(toolbox.environ, memo_dir)
    assert len(toolbox.calls()) == runs
    toolbox.wrapper(toolbox.folder / "g++", [hidden, "-DADDED"])
    find_compiler(toolbox.environ, memo_dir)
    assert len(toolbox.calls()) == 2 * runs
    toolbox.compiler("hidden", CLANG, folder=toolbox.folder / "lib")
    assert find_compiler(toolbox.environ, memo_dir).family == "clang"


def test_a_launcher_under_the_compilers_name_is_probed_each_time(
    toolbox: FakeToolbox, memo_dir: Path
) -> None:
    """CXX=/usr/lib/ccache/g++ runs whichever g++ comes next on PATH."""
    hidden = toolbox.compiler("hidden", GCC, folder=toolbox.folder / "lib")
    ccache = toolbox.wrapper(toolbox.folder / "ccache", [hidden])
    link = toolbox.folder / "links" / "g++"
    link.parent.mkdir()
    link.symlink_to(ccache)
    environ = {**toolbox.environ, "CXX": str(link)}
    assert find_compiler(environ, memo_dir).version == "13.2.1"
    toolbox.compiler("hidden", {**GCC, "__GNUC__": 14}, folder=toolbox.folder / "lib")
    assert find_compiler(environ, memo_dir).version == "14.2.1"


@pytest.mark.parametrize(
    ("content", "words"),
    [(b"#!/bin/sh\n$A_B", {"bin", "sh", "A_B"}), (b"\x7fELF A_B", set()), (b"", set())],
)
def test_scripts_are_recognised_by_their_first_two_bytes(
    tmp_path: Path, content: bytes, words: set[str]
) -> None:
    file = tmp_path / "g++"
    file.write_bytes(content)
    assert script_words(file) == words
