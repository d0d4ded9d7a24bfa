"""Claims: one build of an op at a time in a cache that several machines share."""

from __future__ import annotations

import errno
import json
import os
import threading
from pathlib import Path

import pytest

from op_builder.cache import claim, staging
from op_builder.cache.claim import build_claim

NAME = "0" * 40
ENVIRON = {"ASCEND_OPS_LOCK_TIMEOUT": "900"}


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(claim, "_POLL_SECONDS", 0.005)
    monkeypatch.setattr(claim, "_SETTLE_SECONDS", 0.0)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """Return the file of the claim, which does not exist."""
    return tmp_path / "staging" / f"claim-{NAME}"


@pytest.fixture
def elsewhere(file: Path) -> Path:
    """Leave a claim of a process on another machine."""
    file.parent.mkdir()
    content = {"own": "x", "process": "machine-1-2", "host": "node7", "pid": 1}
    file.write_text(json.dumps(content), encoding="utf-8")
    return file


def test_a_claim_exists_while_it_is_held(tmp_path: Path, file: Path) -> None:
    with build_claim(tmp_path, "op", NAME, ENVIRON) as has_waited:
        assert not has_waited
        assert json.loads(file.read_bytes())["pid"] == os.getpid()
        assert file.stat().st_mode & 0o777 == 0o600
    assert list(file.parent.iterdir()) == []


def test_a_claim_is_given_up_after_an_error(tmp_path: Path, file: Path) -> None:
    with pytest.raises(RuntimeError), build_claim(tmp_path, "op", NAME, ENVIRON):
        raise RuntimeError
    assert not file.exists()


def test_the_others_wait_until_it_is_given_up(tmp_path: Path, elsewhere: Path) -> None:
    """They continue at the same time: if the build failed, all of them should see its error."""
    waited: list[bool] = []

    def wait() -> None:
        with build_claim(tmp_path, "op", NAME, ENVIRON) as has_waited:
            waited.append(has_waited)
            everybody.wait()

    everybody = threading.Barrier(3)
    threads = [threading.Thread(target=wait) for _ in range(2)]
    for thread in threads:
        thread.start()
    polls = threading.Event()
    assert not polls.wait(0.1)
    assert waited == []
    elsewhere.unlink()
    everybody.wait()
    for thread in threads:
        thread.join()
    assert waited == [True, True]
    assert list(elsewhere.parent.iterdir()) == []


@pytest.mark.parametrize("content", [b"", b"\xff\x00", b"[]", b"{", b'{"process": 3}'])
def test_odd_content_of_a_living_claim_is_waited_for(
    tmp_path: Path, elsewhere: Path, content: bytes
) -> None:
    elsewhere.write_bytes(content)
    with build_claim(tmp_path, "op", NAME, {"ASCEND_OPS_LOCK_TIMEOUT": "0.05"}) as has_waited:
        assert has_waited
    assert elsewhere.read_bytes() == content


def test_a_claim_of_a_dead_process_of_this_machine_is_taken_over_at_once(
    tmp_path: Path, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(claim, "STALLED_SECONDS", 1e9)
    gone = staging.this_process().replace(f"-{os.getpid()}-", f"-{os.getpid()}-1")
    file.parent.mkdir()
    file.write_text(json.dumps({"own": "x", "process": gone}), encoding="utf-8")
    with build_claim(tmp_path, "op", NAME, ENVIRON) as has_waited:
        assert has_waited
        assert json.loads(file.read_bytes())["own"] != "x"
    assert list(file.parent.iterdir()) == []


def test_a_claim_that_stalls_is_taken_over(
    tmp_path: Path, elsewhere: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(claim, "STALLED_SECONDS", 0.05)
    with build_claim(tmp_path, "op", NAME, ENVIRON) as has_waited:
        assert has_waited
        assert json.loads(elsewhere.read_bytes())["pid"] == os.getpid()
    assert not elsewhere.exists()


def test_a_claim_that_another_took_over_is_not_removed(tmp_path: Path, file: Path) -> None:
    """This process was stopped for a while; the claim belongs to another one now."""
    with build_claim(tmp_path, "op", NAME, ENVIRON):
        file.write_text(json.dumps({"own": "another"}), encoding="utf-8")
    assert file.exists()


def test_without_a_folder_to_write_to_nothing_is_claimed(tmp_path: Path) -> None:
    (tmp_path / "staging").touch()
    with build_claim(tmp_path, "op", NAME, ENVIRON) as has_waited:
        assert not has_waited
    with build_claim(None, "op", NAME, ENVIRON) as has_waited:
        assert not has_waited


def test_a_full_disk_leaves_no_claim_behind(
    tmp_path: Path, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(claim.json, "dump", fail)
    with build_claim(tmp_path, "op", NAME, ENVIRON) as has_waited:
        assert not has_waited
        assert list(file.parent.iterdir()) == []


def test_a_held_claim_is_touched(
    tmp_path: Path, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(claim, "_TOUCH_SECONDS", 0.01)
    with build_claim(tmp_path, "op", NAME, ENVIRON):
        os.utime(file, (0, 0))
        while file.stat().st_mtime == 0:
            threading.Event().wait(0.01)
