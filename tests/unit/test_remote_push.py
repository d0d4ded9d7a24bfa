"""``ascend-ops cache push``: what it uploads, and pushers that run at the same time."""

from __future__ import annotations

import json
import threading
from pathlib import Path
from typing import Any

import pytest
from cache_entries import Shelf
from command_line import CommandLine
from outside_op import OutsideOp
from remote_stores import Store, served, writable

from op_builder.cache.entry import ORIGIN
from op_builder.remote import documents, signatures
from op_builder.remote.push import Pusher, document_of
from op_builder.remote.signatures import Signer

pytest.importorskip("fsspec", reason="fsspec is not installed")
pytest.importorskip("cryptography", reason="cryptography is not installed")


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store.below(tmp_path)


def test_push(command_line: CommandLine, outside_op: OutsideOp, tmp_path: Path) -> None:
    entry = outside_op.publish()
    url = f"file://{tmp_path}/remote"
    done = command_line("cache", "push", "made_up", "--to", url, "--json")
    assert done.status == 0, done.err
    (pushed,) = done.json["entries"]
    assert done.json["url"] == url
    assert (pushed["op"], pushed["outcome"], pushed["reason"]) == ("made_up", "pushed", "")
    assert pushed["path"] == str(entry.path)
    assert pushed["bytes"] > 9
    again = command_line("cache", "push", "--to", url, "--json").json["entries"]
    assert [(each["outcome"], each["bytes"]) for each in again] == [("present", 0)]
    forced = command_line("cache", "push", "--to", url, "--again", "--json").json["entries"]
    assert [(each["outcome"], each["bytes"]) for each in forced] == [("pushed", pushed["bytes"])]
    assert "made_up present 0" in command_line("cache", "push", "--to", url).text


def test_the_variable_is_the_default(
    command_line: CommandLine,
    outside_op: OutsideOp,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    outside_op.publish()
    assert command_line("cache", "push").status == 2
    monkeypatch.setenv("ASCEND_OPS_REMOTE_CACHE", str(tmp_path / "remote"))
    assert command_line("cache", "push").status == 0
    assert (tmp_path / "remote" / "1").is_dir()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["no_such_op", "--to", "file:///x"], "no no_such_op in "),
        (["--to", "nosuch://server"], "nosuch://server: ValueError"),
        (["--to", "remote"], "must be a URL"),
        (["--to", "file:///proc/remote"], "file:///proc/remote: "),
        (["--to", "file:///x", "--sign", "/no/such/key"], "/no/such/key cannot be read"),
    ],
)
def test_what_cannot_be_pushed_is_an_error(
    command_line: CommandLine, outside_op: OutsideOp, arguments: list[str], message: str
) -> None:
    outside_op.publish()
    done = command_line("cache", "push", *arguments)
    assert done.status == 1
    assert message in done.err
    assert "Traceback" not in done.err


def test_a_damaged_entry_fails_and_the_others_are_pushed(
    command_line: CommandLine, outside_op: OutsideOp, tmp_path: Path
) -> None:
    damaged = outside_op.publish()
    (outside_op.source / "a.h").write_text("// another\n", encoding="utf-8")
    outside_op.publish()
    damaged.library.write_bytes(b"A library")
    done = command_line("cache", "push", "--to", f"file://{tmp_path}/remote", "--json")
    assert done.status == 1
    assert sorted(each["outcome"] for each in done.json["entries"]) == ["failed", "pushed"]
    assert str(damaged.library) in done.err


def test_a_server_that_cannot_be_written_is_an_error(store: Store) -> None:
    pytest.importorskip("aiohttp", reason="aiohttp is not installed")
    store.folder.mkdir()
    with served(store.folder) as (url, _):
        pushed = Pusher(url).push(store.shelf.publish())
    assert pushed.outcome == "failed"
    assert url in pushed.reason


def test_push_over_http(store: Store) -> None:
    pytest.importorskip("aiohttp", reason="aiohttp is not installed")
    store.folder.mkdir()
    with writable(store.folder) as url:
        entry = store.shelf.publish()
        outcomes = [Pusher(url).push(entry).outcome for _ in range(2)]
        assert outcomes == ["pushed", "present"]
        assert store.download(url) is not None


def test_a_downloaded_entry_is_not_pushed(store: Store) -> None:
    """A key must not vouch for a library that this machine did not build."""
    entry = store.shelf.publish()
    (entry.path / ORIGIN).write_text("{}", encoding="utf-8")
    assert Pusher(store.url).push(entry).outcome == "skipped"
    assert not store.folder.exists()


def test_a_signature_is_added_to_an_entry_that_is_present(store: Store, tmp_path: Path) -> None:
    keys = []
    entry = store.push()
    for name in ("one", "two"):
        keys.append(signatures.make_key(tmp_path / name))
        store.push(entry, Signer.read(tmp_path / name))
    assert Pusher(store.url).push(entry).outcome == "present"
    document = documents.parse_document(store.document(entry).read_bytes())
    assert [each.key for each in document.signatures] == keys
    assert all(signatures.signer_of(document, [key]) for key in keys)


def test_a_signature_is_never_given_to_another_build(store: Store, tmp_path: Path) -> None:
    """Two machines build one entry, with different bytes; the signed one replaces the other."""
    store.push(store.shelf.publish(b"built elsewhere"))
    signatures.make_key(tmp_path / "key")
    here = Shelf(
        store.shelf.layer.__class__("user", tmp_path / "here", shipped=False), store.shelf.spec
    )
    entry = here.publish(b"built here")
    assert document_of(entry).place.document == str(store.document(entry).relative_to(store.folder))
    store.push(entry, Signer.read(tmp_path / "key"))
    document = documents.parse_document(store.document(entry).read_bytes())
    assert document.manifest == entry.manifest
    assert len(document.signatures) == 1
    assert store.download() is not None


def test_damaged_objects_are_replaced(store: Store) -> None:
    entry = store.push()
    store.file(entry, "made_up.so").write_bytes(b"a lib")
    store.document(entry).write_bytes(b"{")
    store.index(entry).write_bytes(b"{")
    store.push(entry)
    assert store.download() is not None


def test_concurrent_pushers_list_all_entries(store: Store, tmp_path: Path) -> None:
    header = store.shelf.spec.roots["source"] / "a.h"
    entries = []
    for number in range(8):
        header.write_text(f"// {number}\n", encoding="utf-8")
        entries.append(store.shelf.publish(b"library %d" % number))
    outcomes: list[Any] = []
    barrier = threading.Barrier(len(entries))

    def push(entry: Any) -> None:
        pusher = Pusher(store.url)
        barrier.wait()
        outcomes.append(pusher.push(entry))

    threads = [threading.Thread(target=push, args=(entry,)) for entry in entries]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [each.outcome for each in outcomes] == ["pushed"] * len(entries), outcomes
    listed = documents.parse_index(store.index(entries[0]).read_bytes())
    assert sorted(listed) == sorted((e.path.parent.name, e.path.name) for e in entries)
    assert list(store.folder.rglob("*.part")) == []


def test_an_index_that_another_pusher_overwrote_is_mended(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The other read the old index before this pusher wrote its own, and writes afterwards."""
    first = store.push()
    stale = store.index(first).read_bytes()
    store.shelf.spec.roots["source"].joinpath("a.h").write_text("// 2\n", encoding="utf-8")
    second = store.shelf.publish(b"second")
    write, overwritten = Pusher._write, []

    def overwrite(self: Pusher, name: str, content: bytes) -> None:
        write(self, name, content)
        if name.endswith("index.json") and not overwritten:
            overwritten.append(name)
            write(self, name, stale)

    monkeypatch.setattr(Pusher, "_write", overwrite)
    store.push(second)
    assert overwritten
    assert len(documents.parse_index(store.index(second).read_bytes())) == 2


def test_the_content_of_a_document_survives_parsing(store: Store) -> None:
    document = document_of(store.shelf.publish())
    assert documents.parse_document(document.content()) == document
    fields = json.loads(document.content())
    fields["extra"] = 1
    with pytest.raises(ValueError, match="must be an object of"):
        documents.parse_document(json.dumps(fields).encode())
