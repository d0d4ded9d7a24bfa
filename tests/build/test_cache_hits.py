"""What a cache hit costs, and which changes do not lead to a rebuild."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest
from sandbox import ANSWER, OPS, Sandbox

TORCH_FIRST = "import torch"
OPS_AND_STATEMENTS = [
    pytest.param(ANSWER, "pass", id="ctypes"),
    pytest.param("stable_answer:StableAnswerBuilder", TORCH_FIRST, id="stable"),
]


@pytest.mark.parametrize(("builder", "first"), OPS_AND_STATEMENTS)
def test_hit_in_a_new_process_starts_no_process_and_takes_no_lock(
    sandbox: Sandbox, builder: str, first: str
) -> None:
    cold = sandbox.load(builder, first=first)
    hit = sandbox.load(builder, first=first)

    assert (cold.value, hit.value) == (42, 42)
    assert cold.processes != (), "the observer sees nothing"
    assert cold.locks != (), "the observer sees nothing"
    assert hit.processes == ()
    assert hit.locks == ()
    assert sandbox.compiles == 1
    assert hit.library == cold.library


def test_hit_reads_no_header_and_writes_nothing_once_their_status_is_known(
    sandbox: Sandbox,
) -> None:
    """Use the ops of the checkout: a header that was just copied is hashed at each load."""
    sandbox.load(project=OPS)
    checked = sandbox.load(project=OPS)
    known = sandbox.load(project=OPS)

    def headers(files: tuple[str, ...]) -> list[str]:
        return [file for file in files if file.endswith(".h")]

    assert headers(checked.read), "the first hit hashes what was read"
    assert headers(known.read) == []
    assert known.written == ()


def test_key_does_not_depend_on_working_folder_job_count_or_unrelated_variables(
    sandbox: Sandbox, tmp_path: Path
) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    first = sandbox.load()
    second = sandbox.load(cwd=elsewhere, MAX_JOBS="1", CXXFLAGS="-O0", LANG="de_DE.UTF-8")

    assert second.entry == first.entry
    assert sandbox.compiles == 1


def test_checkouts_at_two_paths_and_behind_a_link_share_one_entry(
    sandbox: Sandbox, tmp_path: Path
) -> None:
    second, link = tmp_path / "second", tmp_path / "link"
    shutil.copytree(sandbox.project, second)
    link.symlink_to(second, target_is_directory=True)

    entries = {sandbox.load(project=project).entry for project in (sandbox.project, second, link)}

    assert len(entries) == 1
    assert sandbox.compiles == 1


def test_second_checkout_is_judged_by_its_own_headers(sandbox: Sandbox, tmp_path: Path) -> None:
    second = tmp_path / "second"
    shutil.copytree(sandbox.project, second)
    (second / "include/answer.h").write_text("#define ANSWER 7\n", encoding="utf-8")

    assert [sandbox.load().value, sandbox.load(project=second).value] == [42, 7]
    assert [sandbox.load().value, sandbox.load(project=second).value] == [42, 7]
    assert sandbox.compiles == 2


def test_upstream_07_touched_and_restored_files_do_not_rebuild(sandbox: Sandbox) -> None:
    """flashinfer #4884, #4885; pytorch #124454: a restored workspace rebuilt for 30 minutes."""
    first = sandbox.load()
    for index, file in enumerate(sandbox.project.rglob("*")):
        if file.is_file():
            content = file.read_bytes()
            file.unlink()  # a fresh clone has another inode
            file.write_bytes(content)
            os.utime(file, (10_000 * index, 10_000 * index))
    restored = sandbox.load()
    for file in sandbox.project.rglob("*"):
        os.utime(file)
    touched = sandbox.load()

    assert restored.entry == touched.entry == first.entry
    assert restored.processes == touched.processes == ()
    assert sandbox.compiles == 1


def test_upstream_07_two_spellings_of_one_compiler_share_an_entry(
    sandbox: Sandbox, tmp_path: Path
) -> None:
    """flashinfer #4884: /usr/local/cuda and the folder it points to were two toolkits."""
    link = tmp_path / "bin"
    link.symlink_to(Path(str(shutil.which("g++"))).parent, target_is_directory=True)

    first = sandbox.load(CXX="g++")
    second = sandbox.load(CXX=str(link / "g++"))

    assert second.entry == first.entry
    assert sandbox.compiles == 1


def test_same_object_is_returned_within_a_process(sandbox: Sandbox) -> None:
    once = (
        "sys.path.insert(0, sys.argv[1]); from answer import AnswerBuilder;"
        "first = AnswerBuilder().load(); assert AnswerBuilder().load() is first"
    )
    assert sandbox.load(first=once).value == 42
    assert sandbox.compiles == 1
