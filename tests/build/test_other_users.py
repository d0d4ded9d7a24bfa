"""Another user of the machine cannot make a process run their code."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import stat
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from sandbox import Sandbox
from test_shipped_layers import NO_JIT, make_site

HERE = Path(__file__).parent
NOBODY = 65534
TRIES = 300
EVIL = 666

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="acts as another user")


@pytest.fixture
def shared() -> Iterator[Path]:
    """Yield a folder that every user can reach and write to, without the sticky bit."""
    folder = Path(tempfile.mkdtemp(dir="/tmp"))
    folder.chmod(0o777)
    yield folder
    shutil.rmtree(folder)


def _evil_copy(cache: Path, copy: Path) -> None:
    """Copy a cache as another user could: with another library and the digest of that."""
    shutil.copytree(cache, copy)
    (library,) = copy.rglob("answer.so")
    source = library.with_suffix(".c")
    source.write_text(f"int answer(void) {{ return {EVIL}; }}", encoding="utf-8")
    subprocess.run(["gcc", "-shared", "-fPIC", "-o", library, source], check=True)
    source.unlink()
    manifest = library.with_name("manifest.json")
    fields = json.loads(manifest.read_bytes())
    fields["payload_digest"] = hashlib.sha256(library.read_bytes()).hexdigest()
    manifest.write_text(json.dumps(fields), encoding="utf-8")
    for path in (copy, *copy.rglob("*")):
        os.chown(path, NOBODY, NOBODY)


def test_folder_exchanged_by_another_user_never_runs_their_code(
    sandbox: Sandbox, shared: Path
) -> None:
    """53 of 300 loads ran it when only the cache's own folder was checked."""
    shared.chmod(0o755)
    mine = shared / "mine"
    assert sandbox.load(ASCEND_OPS_CACHE_DIR=str(mine)).value == 42
    _evil_copy(mine, shared / "theirs")
    shared.chmod(0o777)
    command = [sys.executable, str(HERE / "exchange.py")]
    done = subprocess.run(
        [*command, str(sandbox.project), str(shared), str(TRIES)],
        env=sandbox.environ,
        stdout=subprocess.PIPE,
        check=True,
    )

    assert json.loads(done.stdout) == {"UnsafeCacheError": TRIES}


@pytest.mark.parametrize("mask", [0o000, 0o002, 0o077, 0o777])
def test_site_that_was_unpacked_with_any_umask_is_readable_and_not_writable(
    sandbox: Sandbox, shared: Path, mask: int
) -> None:
    """With umask 000 another user rewrote a library; with 077 no other user could load one."""
    shared.chmod(0o755)
    sandbox.scratch = shared
    before = os.umask(mask)
    try:
        site = make_site(sandbox)
    finally:
        os.umask(before)
    modes = {
        stat.S_IMODE(path.stat().st_mode)
        for path in (site, *site.rglob("*"))
        if "staging" not in path.parts
    }

    assert modes == {0o755, 0o644}
    assert sandbox.load(**NO_JIT).entry.is_relative_to(site)


@pytest.mark.parametrize("name", ["answer.so", "manifest.json", "."])
def test_site_whose_entry_others_can_write_to_is_refused_by_name(
    sandbox: Sandbox, name: str
) -> None:
    site = make_site(sandbox)
    (library,) = site.rglob("answer.so")
    path = library.parent / name
    path.chmod(0o777)
    shutil.rmtree(sandbox.cache)
    refused = sandbox.load(**NO_JIT)

    assert refused.error == "JitDisabledError"
    assert str(library.parent) in refused.message
    assert path.name in refused.message
    assert "is writable by other users (mode 777)" in refused.message


@pytest.mark.parametrize("name", ["answer.so", "manifest.json", ".", ".."])
def test_entry_of_the_users_cache_that_others_can_change_is_built_again(
    sandbox: Sandbox, name: str
) -> None:
    cold = sandbox.load()
    (cold.entry / name).chmod(0o777)
    again, hit = sandbox.load(), sandbox.load()

    assert [outcome.value for outcome in (cold, again, hit)] == [42, 42, 42]
    assert sandbox.compiles == 2
    assert stat.S_IMODE((hit.entry / name).stat().st_mode) & 0o022 == 0


@pytest.mark.parametrize("name", ["answer.so", "manifest.json"])
def test_entry_with_a_file_of_another_user_is_built_again(sandbox: Sandbox, name: str) -> None:
    cold = sandbox.load()
    os.chown(cold.entry / name, NOBODY, NOBODY)
    again, hit = sandbox.load(), sandbox.load()

    assert [outcome.value for outcome in (cold, again, hit)] == [42, 42, 42]
    assert sandbox.compiles == 2


@pytest.mark.parametrize("path", [":{}", "{}:", "/nonexistent::{}", ".:{}", "bin:{}"])
def test_programs_of_the_current_folder_never_run(sandbox: Sandbox, path: str) -> None:
    """With an empty element in PATH, ``ld`` of the current folder ran."""
    here = sandbox.scratch / "here"
    for folder in (here, here / "bin"):
        folder.mkdir()
        for name in ("ld", "as", "g++", "gcc", "clang++", "cc1plus", "collect2", "ninja"):
            program = folder / name
            program.write_text(f"#!/bin/sh\ntouch {here}/ran\nexit 1\n", encoding="utf-8")
            program.chmod(0o755)
    loaded = sandbox.load(cwd=here, PATH=path.format(os.environ["PATH"]))

    assert loaded.value == 42, loaded.message
    assert not (here / "ran").exists()
