"""Loading ops through a remote cache: real servers, many processes, machines of several kinds."""

from __future__ import annotations

import importlib.util
import json
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from remote_servers import http_server, s3_server, silent_server
from sandbox import Sandbox

from op_builder.remote.documents import File, parse_document
from op_builder.system.file_identity import digest_bytes

pytest.importorskip("fsspec", reason="fsspec is not installed")
PROCESSES = 32


def needs(*packages: str) -> pytest.MarkDecorator:
    """Skip a test unless packages are installed."""
    absent = [name for name in packages if importlib.util.find_spec(name) is None]
    return pytest.mark.skipif(bool(absent), reason=f"not installed: {', '.join(absent)}")


@pytest.fixture
def pushed(sandbox: Sandbox, tmp_path: Path) -> str:
    """Push the op to a folder from one machine, and return its URL; the cache is empty again."""
    url = f"file://{tmp_path}/remote"
    push(sandbox, url)
    return url


def push(sandbox: Sandbox, url: str, *arguments: str, **environ: str) -> None:
    """Build the op, push it, and empty the user's cache."""
    assert sandbox.load().value == 42
    assert sandbox.compiles == 1
    sandbox.run_cli("cache", "push", "--to", url, *arguments, **environ)
    sandbox.forget_entries()
    # On a busy machine, only a server that never answers reaches the limit.
    sandbox.environ.update(ASCEND_OPS_REMOTE_CACHE=url, ASCEND_OPS_REMOTE_TIMEOUT="600", **environ)


def library_in(remote: Path) -> tuple[Path, Path]:
    """Return the document of the only entry in a folder, and the file with its library."""
    (document,) = (path for path in remote.glob("1/*/*/*/*/*.json"))
    files = parse_document(document.read_bytes()).files
    return document, remote / files["answer.so"].name


@needs("s3fs", "moto", "flask")
def test_32_cold_processes_of_a_node_download_once_from_s3(
    sandbox: Sandbox, tmp_path: Path
) -> None:
    with s3_server(tmp_path) as server:
        push(sandbox, server.url, **server.environ)
        started = [sandbox.start() for _ in range(PROCESSES)]
        outcomes = [each.outcome() for each in started]

        assert [outcome.value for outcome in outcomes] == [42] * PROCESSES
        assert sandbox.compiles == 1
        assert server.files_sent == 3
    assert sandbox.staged() == []


@needs("aiohttp")
def test_each_node_downloads_once_over_http(sandbox: Sandbox, tmp_path: Path, pushed: str) -> None:
    with http_server(tmp_path / "remote", tmp_path) as server:
        nodes = [
            {
                "ASCEND_OPS_REMOTE_CACHE": server.url,
                "ASCEND_OPS_CACHE_DIR": str(tmp_path / f"cache{node}"),
                "ASCEND_OPS_LOCK_DIR": str(tmp_path / f"locks{node}"),
            }
            for node in range(2)
        ]
        started = [sandbox.start(**node) for node in nodes for _ in range(4)]
        assert [each.outcome().value for each in started] == [42] * len(started)
        assert server.files_sent == 3 * len(nodes)
    assert sandbox.compiles == 1


@needs("cryptography")
def test_a_signed_entry_is_loaded_and_an_unsigned_one_is_built(
    sandbox: Sandbox, tmp_path: Path
) -> None:
    key = tmp_path / "key"
    sandbox.run_cli("cache", "make-key", str(key))
    push(sandbox, f"file://{tmp_path}/remote")
    sandbox.environ["ASCEND_OPS_REMOTE_KEYS"] = f"{key}.pub"
    refused = sandbox.load()
    assert (refused.value, sandbox.compiles) == (42, 2)
    assert refused.stderr.count("entry is not signed") == 1
    assert f"file://{tmp_path}/remote (ASCEND_OPS_REMOTE_CACHE)" in refused.stderr

    sandbox.run_cli("cache", "push", "--sign", str(key))
    sandbox.forget_entries()
    taken = sandbox.load()
    assert (taken.value, taken.stderr, sandbox.compiles) == (42, "", 2)


def test_without_jit_an_op_is_downloaded(sandbox: Sandbox, pushed: str) -> None:
    assert sandbox.load(ASCEND_OPS_JIT="0").value == 42
    sandbox.forget_entries()
    missing = sandbox.load(ASCEND_OPS_JIT="0", ASCEND_OPS_REMOTE_CACHE="")
    assert missing.error == "JitDisabledError"
    assert sandbox.compiles == 1


@pytest.mark.parametrize("jit", ["0", "1"])
def test_without_a_compiler_an_op_is_downloaded(sandbox: Sandbox, pushed: str, jit: str) -> None:
    sandbox.environ["PATH"] = "/nowhere"
    sandbox.environ.pop("CXX", None)
    sandbox.environ.pop("ASCEND_OPS_COMPILER_LAUNCHER")
    shutil.rmtree(sandbox.cache)
    assert sandbox.load(ASCEND_OPS_JIT=jit).value == 42
    assert sandbox.load(ASCEND_OPS_JIT=jit, ASCEND_OPS_REMOTE_CACHE="").value == 42


def test_another_version_of_the_op_is_built(sandbox: Sandbox, pushed: str) -> None:
    sandbox.edit("answer.cpp", "ANSWER + ADDEND", "ANSWER + ADDEND + 1")
    built = sandbox.load()
    assert (built.value, built.stderr, sandbox.compiles) == (43, "", 2)


def test_a_server_that_is_down_costs_one_warning(sandbox: Sandbox, tmp_path: Path) -> None:
    url = f"nosuch://{tmp_path.name}"
    built = sandbox.load(ASCEND_OPS_REMOTE_CACHE=url)
    assert (built.value, sandbox.compiles) == (42, 1)
    assert built.stderr.count("ASCEND_OPS_REMOTE_CACHE") == 1
    assert url in built.stderr


@needs("aiohttp")
def test_a_process_that_is_killed_while_it_downloads_blocks_nobody(sandbox: Sandbox) -> None:
    with silent_server() as server:
        slow = {"ASCEND_OPS_REMOTE_CACHE": server.url, "ASCEND_OPS_REMOTE_TIMEOUT": "0"}
        killed = sandbox.start(**slow)
        sandbox.wait_for_waiters([killed])
        other = sandbox.start(**{**slow, "ASCEND_OPS_REMOTE_TIMEOUT": "0.1"})
        sandbox.wait_for_waiters([other])
        killed.kill()
        built = other.outcome()
    assert killed.outcome().status == -signal.SIGKILL
    assert (built.value, sandbox.compiles) == (42, 1)
    assert "did not answer within 0.1 s (ASCEND_OPS_REMOTE_TIMEOUT)" in built.stderr


def test_a_library_that_does_not_load_is_replaced_by_a_local_build(
    sandbox: Sandbox, tmp_path: Path, pushed: str
) -> None:
    """A lying server without signatures: all digests match, and the library is not one."""
    document, library = library_in(tmp_path / "remote")
    content = library.read_bytes()[:100]
    file = File(len(content), digest_bytes(content))
    (tmp_path / "remote" / file.name).parent.mkdir(exist_ok=True)
    (tmp_path / "remote" / file.name).write_bytes(content)
    fields = json.loads(document.read_bytes())
    manifest = json.loads(fields["manifest"])
    manifest.update(payload_digest=file.digest, payload_bytes=file.bytes)
    fields["manifest"] = json.dumps(manifest)
    fields["files"]["answer.so"] = {"bytes": file.bytes, "sha256": file.digest}
    document.write_text(json.dumps(fields), encoding="utf-8")

    replaced = sandbox.load()
    assert (replaced.value, sandbox.compiles) == (42, 2)
    assert "rebuilding it" in replaced.stderr
    found = sandbox.load()
    assert (found.value, found.stderr, sandbox.compiles) == (42, "", 2)


def test_processes_that_got_a_library_that_does_not_load_build_once(
    sandbox: Sandbox, tmp_path: Path, pushed: str
) -> None:
    sandbox.environ["ASCEND_OPS_REMOTE_CACHE"] = ""
    entry = sandbox.load().entry
    (entry / "answer.so").write_bytes(b"not a library")
    manifest = json.loads((entry / "manifest.json").read_bytes())
    manifest.update(payload_digest=digest_bytes(b"not a library"), payload_bytes=13)
    (entry / "manifest.json").write_text(json.dumps(manifest), encoding="utf-8")
    (entry / "origin.json").write_text("{}", encoding="utf-8")
    before = sandbox.compiles
    started = [sandbox.start() for _ in range(4)]
    assert [each.outcome().value for each in started] == [42] * 4
    assert sandbox.compiles == before + 1


PROGRAM = """
import json, sys
sys.path.insert(0, sys.argv[1])
from answer import AnswerBuilder
assert AnswerBuilder().load().answer() == 42
print(json.dumps(sorted(sys.modules)))
"""


def test_a_hit_costs_nothing_more(sandbox: Sandbox, tmp_path: Path) -> None:
    """With a remote cache, a hit imports the same modules; a driver is never imported."""
    variables = {
        "ASCEND_OPS_REMOTE_CACHE": "s3://bucket/ops",
        "ASCEND_OPS_REMOTE_KEYS": "/no/such/file",  # not even read
    }
    assert sandbox.load().value == 42

    def imported(**environ: str) -> list[str]:
        shutil.rmtree(sandbox.cache / "hits", ignore_errors=True)  # a memoized hit imports less
        done = subprocess.run(
            [sys.executable, "-c", PROGRAM, str(sandbox.project)],
            env={**sandbox.environ, **environ},
            capture_output=True,
            text=True,
            check=True,
        )
        found: list[str] = json.loads(done.stdout)
        return found

    with_remote = imported(**variables)
    assert with_remote == imported()
    assert not [name for name in with_remote if name.startswith(("fsspec", "op_builder.remote"))]


def test_a_download_imports_no_driver_into_the_process(sandbox: Sandbox, pushed: str) -> None:
    value = "[name for name in __import__('sys').modules if name.startswith('fsspec')]"
    downloaded = sandbox.load(value=value)
    assert (downloaded.value, sandbox.compiles) == ([], 1)
    assert (downloaded.entry / "origin.json").is_file()
