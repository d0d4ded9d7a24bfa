"""Digests and memos: the content of files decides, never their times."""

from __future__ import annotations

import os
import stat
from pathlib import Path
from types import SimpleNamespace

import pytest
from file_clock import wait_for_a_later_time
from hypothesis import given
from hypothesis import strategies as st

from op_builder.system import file_identity, memo
from op_builder.system.private_folder import CACHEDIR_TAG


@pytest.fixture
def memo_dir(tmp_path: Path) -> Path:
    """Return a folder in a user's cache that does not exist yet."""
    return tmp_path / "cache" / "toolchain"


@given(st.binary(max_size=200), st.binary(max_size=200))
def test_equal_digests_mean_equal_contents(
    tmp_path_factory: pytest.TempPathFactory, first: bytes, second: bytes
) -> None:
    folder = tmp_path_factory.mktemp("digests")
    for name, content in (("a", first), ("b", second)):
        (folder / name).write_bytes(content)
    one, other = (file_identity.digest_file(folder / name) for name in "ab")
    assert (one == other) == (first == second)
    assert one == file_identity.digest_bytes(first)


def test_times_and_names_do_not_change_a_digest(tmp_path: Path) -> None:
    file = tmp_path / "a"
    file.write_bytes(b"x")
    before = file_identity.digest_file(file)
    os.utime(file, (1, 1))
    assert file_identity.digest_file(file.rename(tmp_path / "b")) == before


def test_a_rewrite_of_the_same_size_and_mtime_shows_in_the_status(tmp_path: Path) -> None:
    """cp -p, rsync, tar and git restore mtime; nothing restores ctime."""
    file = tmp_path / "a"
    file.write_bytes(b"one")
    os.utime(file, (1_000, 1_000))
    before = file_identity.status(file)
    wait_for_a_later_time(file)
    file.write_bytes(b"two")
    os.utime(file, (1_000, 1_000))
    after = file_identity.status(file)
    assert after[:4] == before[:4]
    assert after != before


def test_a_file_just_written_is_not_settled(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two writes within one tick result in the same status, so a recent status proves nothing."""
    file = tmp_path / "a"
    file.write_bytes(b"one")
    os.utime(file, (1_000, 1_000))  # an old mtime does not make the file old
    now = file_identity.status(file)
    clock = file_identity.newest_time(now) + 10**9
    monkeypatch.setattr(file_identity, "time", SimpleNamespace(time_ns=lambda: clock))
    assert not file_identity.is_settled(file_identity.newest_time(now))
    long_ago = clock - 10**10
    assert file_identity.is_settled(file_identity.newest_time((*now[:3], long_ago, long_ago)))
    in_the_future = clock + 10**12
    assert not file_identity.is_settled(
        file_identity.newest_time((*now[:3], in_the_future, long_ago))
    )


def test_a_fact_is_recalled_while_its_files_are_untouched(
    memo_dir: Path, tmp_path: Path, old_files: None
) -> None:
    file = tmp_path / "compiler"
    file.write_bytes(b"one")
    assert memo.recall(memo_dir, ["g++"]) is None
    memo.remember(memo_dir, ["g++"], {"version": "13"}, [str(file)])
    assert memo.recall(memo_dir, ["g++"]) == {"version": "13"}
    assert memo.recall(memo_dir, ["g++", "-m32"]) is None
    status = file.stat()
    wait_for_a_later_time(file)
    file.write_bytes(b"two")
    os.utime(file, ns=(status.st_atime_ns, status.st_mtime_ns))
    assert memo.recall(memo_dir, ["g++"]) is None


def test_a_fact_about_a_young_file_is_not_remembered(
    memo_dir: Path, tmp_path: Path, young_files: None
) -> None:
    file = tmp_path / "compiler"
    file.write_bytes(b"one")
    memo.remember(memo_dir, "key", "fact", [str(file)])
    assert memo.recall(memo_dir, "key") is None
    assert not memo_dir.exists()


def test_a_file_that_is_gone_ends_the_memory(
    memo_dir: Path, tmp_path: Path, old_files: None
) -> None:
    file = tmp_path / "compiler"
    file.write_bytes(b"one")
    memo.remember(memo_dir, "key", "fact", [str(file)])
    file.unlink()
    assert memo.recall(memo_dir, "key") is None
    memo.remember(memo_dir, "other", "fact", [str(file)])
    assert memo.recall(memo_dir, "other") is None


@pytest.mark.parametrize(
    "content", ["", "{", "[]", "[3]", "{}", '[{"fact": 1}]', '[{"files": 3, "fact": 1}]', "\0"]
)
def test_a_damaged_memo_is_ignored(memo_dir: Path, old_files: None, content: str) -> None:
    memo.remember(memo_dir, "key", "fact", [])
    (file,) = memo_dir.glob("*.json")
    file.write_text(content, encoding="utf-8")
    assert memo.recall(memo_dir, "key") is None


def test_none_remembers_nothing() -> None:
    memo.remember(None, "key", "fact", [])
    assert memo.recall(None, "key") is None


def test_the_folders_are_private_and_tagged_as_a_cache(memo_dir: Path, old_files: None) -> None:
    """A report alone creates the folders, and `cache clear` must recognize them."""
    memo.remember(memo_dir, "key", "fact", [])
    for folder in (memo_dir, memo_dir.parent):
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert (memo_dir.parent / CACHEDIR_TAG).is_file()
    assert [file.suffix for file in memo_dir.iterdir()] == [".json"]


def test_nothing_is_believed_that_others_could_have_written(
    memo_dir: Path, old_files: None
) -> None:
    """A memo names a compiler that will run."""
    memo.remember(memo_dir, "key", "fact", [])
    memo_dir.parent.chmod(0o777)
    assert memo.recall(memo_dir, "key") is None
    memo.remember(memo_dir, "other", "fact", [])
    memo_dir.parent.chmod(0o700)
    assert memo.recall(memo_dir, "other") is None


def test_a_place_that_cannot_be_written_costs_nothing_but_time(
    tmp_path: Path, old_files: None
) -> None:
    (tmp_path / "file").write_bytes(b"")
    memo_dir = tmp_path / "file" / "toolchain"
    memo.remember(memo_dir, "key", "fact", [])
    assert memo.recall(memo_dir, "key") is None


def test_machines_with_other_files_at_the_same_paths_keep_each_others_facts(
    memo_dir: Path, tmp_path: Path, old_files: None
) -> None:
    """Nodes of a cluster may share a home, but not a compiler."""
    machine, file = tmp_path / "machine", tmp_path / "machine" / "g++"
    names = [f"node{number}" for number in range(3)]

    def be(name: str) -> None:
        machine.unlink(missing_ok=True)
        machine.symlink_to(name)

    for name in names:
        (tmp_path / name).mkdir()
        (tmp_path / name / "g++").write_text(name, encoding="utf-8")
        be(name)
        assert memo.recall(memo_dir, "key") is None
        memo.remember(memo_dir, "key", name, [str(file)])
    for name in [*names, *names]:
        be(name)
        assert memo.recall(memo_dir, "key") == name
    assert len(list(memo_dir.glob("*.json"))) == 1


def test_a_memo_keeps_few_facts(memo_dir: Path, tmp_path: Path, old_files: None) -> None:
    file = tmp_path / "g++"
    for number in range(50):
        file.write_text("." * number, encoding="utf-8")
        memo.remember(memo_dir, "key", number, [str(file)])
    assert memo.recall(memo_dir, "key") == 49
    (written,) = memo_dir.glob("*.json")
    assert written.stat().st_size < 8 * 300
