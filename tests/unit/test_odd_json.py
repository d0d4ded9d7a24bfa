"""Odd content makes a manifest a damaged entry and a lock file an empty one: no tracebacks."""

from __future__ import annotations

import json
import logging
import time
from pathlib import Path
from typing import Any

import pytest
from cache_entries import Shelf, edit_manifest
from user_folders import UserFolders

from op_builder.cache import entry, lock, maintenance
from op_builder.cache.entry import Entry
from op_builder.cache.lock import build_lock
from op_builder.jit.publish import _replayed

DEEP = 100_000
DIGEST = "0" * 64

# Whole contents of a file.
CONTENTS = {
    "nothing": b"",
    "half": b'{"recipe": {"op',
    "zeros": b"\0" * 4096,
    "not UTF-8": b'{"op": "\xff"}',
    "UTF-16": '{"op": 1}'.encode("utf-16"),
    "byte order mark": b"\xef\xbb\xbf{}",
    "deep lists": b"[" * DEEP,
    "deep lists that end": b"[" * DEEP + b"]" * DEEP,
    "deep objects": b'{"a":' * DEEP + b"1" + b"}" * DEEP,
    "null": b"null",
    "number": b"3",
    "text": b'"text"',
    "list": b"[]",
    "empty object": b"{}",
    "two values": b"{} {}",
    "infinite number": b"Infinity",
    "number of 5,000 digits": b"1" * 5000,
}

# Values in place of a field's.
VALUES: dict[str, Any] = {
    "null": None,
    "false": False,
    "true": True,
    "number": 3,
    "negative": -1,
    "huge": 10**400,
    "huge float": 1e308 * 10,
    "not a number": float("nan"),
    "empty text": "",
    "text": "text",
    "NUL": "a\0b",
    "lone surrogate": "\ud800",
    "path": "../../other.so",
    "list": [],
    "list of lists": [[[[[[[[[[]]]]]]]]]],
    "list of numbers": [1, 2],
    "list of odd texts": ["\ud800", "\0"],
    "object": {},
    "deep object": {"a": {"b": {"c": {"d": {"e": {"f": {"g": {}}}}}}}},
    "object of numbers": {"a": 1},
    "object of odd names": {"\ud800": DIGEST, "": DIGEST},
}
FIELDS = (
    "recipe",
    "toolchain",
    "headers",
    "linked",
    "payload",
    "payload_digest",
    "payload_bytes",
    "cpu_features",
    "build_seconds",
    "created",
    "project_version",
)
# A value that a field may have.
VALID = {
    "toolchain": {"object", "object of numbers"},
    "headers": {"object"},
    "linked": {"object"},
    "payload_bytes": {"number"},
    "cpu_features": {"list"},
    "build_seconds": {"number"},
    "payload": {"text"},
    "created": {"empty text", "text", "path"},
    "project_version": {"empty text", "text", "path"},
}


@pytest.fixture
def shelf(tmp_path: Path) -> Shelf:
    return Shelf.below(tmp_path)


def _is_damaged_and_replaced(shelf: Shelf, published: Entry) -> None:
    (refusal,) = shelf.find().refusals
    assert "manifest.json cannot be read" in refusal
    refusal.encode()  # can be printed
    assert shelf.publish().path == published.path
    assert shelf.find().entry is not None


@pytest.mark.parametrize("content", CONTENTS.values(), ids=CONTENTS)
def test_manifest_of_odd_content_is_a_damaged_entry(shelf: Shelf, content: bytes) -> None:
    published = shelf.publish()
    (published.path / entry.MANIFEST).write_bytes(content)
    _is_damaged_and_replaced(shelf, published)


@pytest.mark.parametrize("kind", VALUES)
@pytest.mark.parametrize("field", FIELDS)
def test_manifest_with_an_odd_field_is_a_damaged_entry(shelf: Shelf, field: str, kind: str) -> None:
    published = shelf.publish()
    file = published.path / entry.MANIFEST
    fields = {**json.loads(file.read_bytes()), field: VALUES[kind]}
    file.write_text(json.dumps(fields), encoding="utf-8")
    if kind in VALID.get(field, ()):
        assert isinstance(Entry.read(published.path, "user"), Entry)
    else:
        refusal = str(Entry.read(published.path, "user"))
        assert f"{field} must be " in refusal or "is not a number in JSON" in refusal
        _is_damaged_and_replaced(shelf, published)


@pytest.mark.parametrize("kind", VALUES)
@pytest.mark.parametrize("field", ["op", "target", "bound_to", "sources", "build"])
def test_recipe_with_an_odd_field_never_is_an_entry_of_its_key(
    shelf: Shelf, field: str, kind: str
) -> None:
    if (field, kind) == ("bound_to", "object"):
        pytest.skip("the value that the key has")
    published = shelf.publish()
    recipe = {**json.loads((published.path / entry.MANIFEST).read_bytes())["recipe"]}
    edit_manifest(published, recipe={**recipe, field: VALUES[kind]})
    lookup = shelf.find()
    assert lookup.entry is None
    assert len(lookup.refusals) == 1
    assert shelf.publish().path == published.path
    assert shelf.find().entry is not None


@pytest.mark.parametrize("field", FIELDS)
def test_field_that_occurs_twice_is_damage(shelf: Shelf, field: str) -> None:
    published = shelf.publish()
    file = published.path / entry.MANIFEST
    text = file.read_text(encoding="utf-8")
    value = json.dumps(json.loads(text)[field])
    file.write_text(f'{{"{field}": {value}, {text[1:]}', encoding="utf-8")
    assert "occurs twice" in str(Entry.read(published.path, "user"))
    _is_damaged_and_replaced(shelf, published)


def test_odd_manifests_are_listed_and_pruned(shelf: Shelf) -> None:
    published = shelf.publish()
    (published.path / entry.MANIFEST).write_bytes(CONTENTS["deep lists"])
    (listed,) = maintenance.all_entries([shelf.layer])
    assert "manifest.json cannot be read" in str(listed)
    assert maintenance.prune(shelf.layer, 0) == [published.path]


@pytest.mark.parametrize("content", CONTENTS.values(), ids=CONTENTS)
def test_lock_file_of_odd_content_is_an_empty_one(
    lock_environ: dict[str, str], user_folders: UserFolders, content: bytes
) -> None:
    user_folders.locks.mkdir(mode=0o700)
    (user_folders.locks / "key.lock").write_bytes(content)
    with build_lock("op", "key", lock_environ) as held:
        assert (held.held, held.failure) == (True, None)


@pytest.mark.parametrize("kind", VALUES)
@pytest.mark.parametrize("field", ["failed_at", "failure", "op", "first_error", "command", "log"])
def test_lock_file_with_an_odd_failure_replays_none(field: str, kind: str) -> None:
    now = time.time()
    failure = {"op": "op", "first_error": "error: x", "command": "g++", "log": None}
    left: dict[str, Any] = {"failed_at": now, "failure": failure}
    (left if field in left else failure)[field] = VALUES[kind]
    found = lock._failure_since(now - 1, json.loads(json.dumps(left)))
    replayed = _replayed(found or {})
    if replayed is not None:
        assert field in ("op", "first_error", "command", "log")
        str(replayed).encode()


@pytest.mark.parametrize("kind", VALUES)
@pytest.mark.parametrize("field", ["pid", "host"])
def test_holder_with_odd_fields_can_be_printed(
    tmp_path: Path, field: str, kind: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    file = tmp_path / "lock"
    file.write_text(json.dumps({field: VALUES[kind]}), encoding="utf-8")
    with file.open("rb") as stream:
        lock._holder(stream.fileno()).encode()
