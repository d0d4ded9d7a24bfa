"""Look-ups in a remote cache: what is taken, and what a broken or lying server costs."""

from __future__ import annotations

import json
import logging
import socket
from pathlib import Path

import pytest
from cache_entries import Shelf
from remote_stores import Store, served

from op_builder.cache.entry import Entry
from op_builder.errors import EnvironmentVariableError
from op_builder.remote import documents, server, signatures
from op_builder.remote.push import document_of
from op_builder.remote.signatures import Signer

pytest.importorskip("fsspec", reason="fsspec is not installed")
pytest.importorskip("cryptography", reason="cryptography is not installed")
HTTP = pytest.mark.skipif(
    pytest.importorskip("importlib.util").find_spec("aiohttp") is None,
    reason="aiohttp is not installed",
)


@pytest.fixture(autouse=True)
def _no_server_rests() -> None:
    server._resting.clear()


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store.below(tmp_path)


@pytest.fixture
def signer(tmp_path: Path) -> Signer:
    signatures.make_key(tmp_path / "key")
    return Signer.read(tmp_path / "key")


def warning(caplog: pytest.LogCaptureFixture, store: Store, url: str | None = None) -> str:
    """Return the only warning, which must name op, server and variable; nothing may be left."""
    (record,) = [record for record in caplog.records if record.levelno >= logging.WARNING]
    message = record.getMessage()
    assert message.startswith(f"made_up: remote cache {url or store.url} (ASCEND_OPS_REMOTE_CACHE)")
    assert store.left_behind() == []
    return message


def test_an_entry_is_taken_with_its_files_and_private_modes(store: Store) -> None:
    entry = store.push()
    found = store.download()
    assert found is not None
    assert found.path.relative_to(store.layer.root) == entry.path.relative_to(
        store.shelf.layer.root
    )
    for name in ("made_up.so", "manifest.json", "build.ninja", "build.log"):
        assert (found.path / name).read_bytes() == (entry.path / name).read_bytes()
    assert {file.stat().st_mode & 0o777 for file in found.path.iterdir()} == {0o600}
    assert found.path.stat().st_mode & 0o777 == 0o700
    assert found.is_downloaded
    assert not entry.is_downloaded
    assert store.shelf.find().entry is not None
    assert list((store.layer.root / "staging").iterdir()) == []


@HTTP
def test_an_entry_is_taken_over_http(store: Store) -> None:
    store.push()
    with served(store.folder) as (url, _):
        assert store.download(url) is not None


@pytest.mark.parametrize("content", [None, {"entries": []}], ids=["no-index", "empty-index"])
def test_a_miss_is_silent(store: Store, caplog: pytest.LogCaptureFixture, content: object) -> None:
    entry = store.push()
    store.index(entry).unlink()
    if content is not None:
        store.index(entry).write_text(json.dumps(content), encoding="utf-8")
    assert store.download() is None
    assert [record for record in caplog.records if record.levelno >= logging.WARNING] == []


def test_an_entry_built_from_other_headers_is_a_silent_miss(
    store: Store, caplog: pytest.LogCaptureFixture
) -> None:
    store.push()
    (store.shelf.spec.roots["source"] / "a.h").write_text("// another\n", encoding="utf-8")
    assert store.download() is None
    assert [record for record in caplog.records if record.levelno >= logging.WARNING] == []


def test_the_first_entry_that_fits_is_taken(store: Store, tmp_path: Path) -> None:
    """Two machines with one compiler and other headers push builds of one key."""
    fits = store.push()
    header = store.shelf.spec.roots["source"] / "a.h"
    old = header.read_bytes()
    header.write_bytes(b"// another\n")
    store.push(store.shelf.publish(b"built from another header"))
    header.write_bytes(old)
    assert len(documents.parse_index(store.index(fits).read_bytes())) == 2
    found = store.download()
    assert found is not None
    assert found.manifest == fits.manifest


def test_a_machine_without_a_compiler_takes_any_build_of_the_recipe(store: Store) -> None:
    from op_builder.remote.download import Wanted, download

    store.push()
    shelf, environ = store.shelf, {"ASCEND_OPS_REMOTE_CACHE": store.url}
    assert download(Wanted(shelf.spec, shelf.recipe, None, (store.layer,), environ)) is not None


def test_nothing_is_looked_up_without_the_variable(store: Store) -> None:
    store.push()
    store.variables["ASCEND_OPS_REMOTE_CACHE"] = ""
    assert store.download() is None


# Entries that must not be used.


def _rewrite(store: Store, entry: Entry, document: Path, manifest: str) -> None:
    """Give an entry another manifest, and move it to the place that this one demands."""
    fields = json.loads(document.read_bytes())
    fields["manifest"] = manifest
    content = json.dumps(fields).encode()
    place = documents.parse_document(content).place
    (store.folder / place.document).write_bytes(content)
    listed = documents.index_content([(place.build_key, place.deps_key)])
    store.index(entry).write_bytes(listed)


def _spoil(store: Store, fault: str) -> str:
    """Damage the only entry of a store; return a part of the expected reason."""
    entry = store.push()
    document, library = store.document(entry), store.file(entry, "made_up.so")
    text = document.read_text(encoding="utf-8")
    if fault == "wrong-digest":
        library.write_bytes(b"A library")
        return "must have the digest in its name"
    if fault == "truncated-library":
        library.write_bytes(b"a lib")
        return "got 5 bytes"
    if fault == "longer-library":
        library.write_bytes(b"a library and more")
        return "has more than 9 bytes"
    if fault == "no-library":
        library.unlink()
        return "is missing"
    if fault == "no-document":
        document.unlink()
        return "is missing"
    if fault == "truncated-document":
        document.write_text(text[: len(text) // 2], encoding="utf-8")
        return "is damaged"
    if fault == "truncated-index":
        store.index(entry).write_text('{"entries": [', encoding="utf-8")
        return "is damaged"
    if fault == "deep-index":
        store.index(entry).write_text("[" * 100_000, encoding="utf-8")
        return "is damaged"
    if fault == "huge-index":
        store.index(entry).write_bytes(b" " * (documents.LARGEST_INDEX + 1))
        return "has more than"
    if fault == "changed-manifest":
        document.write_text(text.replace("gcc 13", "gcc 14"), encoding="utf-8")
        return "belongs in"
    if fault == "huge-input":
        big = store.folder / "big"
        with big.open("wb") as stream:
            stream.truncate(5 << 30)  # a sparse file
        manifest = json.loads(json.loads(text)["manifest"])
        manifest["headers"] = {str(big): "0" * 64}
        _rewrite(store, entry, document, json.dumps(manifest))
        return "names inputs of"
    if fault == "other-library-name":
        content = text.replace("made_up.so", "../../evil.so")
        document.write_text(content, encoding="utf-8")
        return "is damaged: payload must be a file name"
    assert fault == "folder"
    library.unlink()
    library.mkdir()
    return ""


@pytest.mark.parametrize(
    "fault",
    [
        "wrong-digest",
        "truncated-library",
        "longer-library",
        "no-library",
        "no-document",
        "truncated-document",
        "truncated-index",
        "deep-index",
        "huge-index",
        "changed-manifest",
        "huge-input",
        "other-library-name",
        "folder",
    ],
)
def test_a_damaged_entry_is_refused_with_one_warning(
    store: Store, caplog: pytest.LogCaptureFixture, fault: str
) -> None:
    reason = _spoil(store, fault)
    assert store.download() is None
    assert reason in warning(caplog, store)


def _replay(store: Store, tmp_path: Path, signer: Signer) -> Shelf:
    """Put a signed entry where that of another source belongs; return the other op."""
    entry = store.push(signer=signer)
    other = Shelf.below(tmp_path / "other")
    source = other.spec.roots["source"] / "a.cpp"
    source.write_text("// mended since\n", encoding="utf-8")
    wanted = other.publish()
    place = document_of(wanted).place
    target = store.folder / place.document
    target.parent.mkdir(parents=True)
    target.write_bytes(store.document(entry).read_bytes())
    listed = documents.index_content([(place.build_key, place.deps_key)])
    (store.folder / documents.index_name(wanted.manifest.recipe)).write_bytes(listed)
    return other


@pytest.mark.parametrize("with_keys", [True, False])
def test_an_entry_cannot_be_replayed_under_another_key(
    store: Store,
    signer: Signer,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    with_keys: bool,
) -> None:
    other = _replay(store, tmp_path, signer)
    if with_keys:
        store.variables["ASCEND_OPS_REMOTE_KEYS"] = signatures.shown(signer.public_key)
    assert store.download(shelf=other) is None
    assert "is an entry that belongs in" in warning(caplog, store)


def test_a_signed_entry_is_taken(store: Store, signer: Signer, tmp_path: Path) -> None:
    store.push(signer=signer)
    store.variables["ASCEND_OPS_REMOTE_KEYS"] = str(tmp_path / "key.pub")
    found = store.download()
    assert found is not None
    origin = json.loads((found.path / "origin.json").read_bytes())
    assert origin == {"url": store.url, "signed_by": signatures.shown(signer.public_key)}


def test_an_unsigned_entry_is_refused_if_keys_are_listed(
    store: Store, signer: Signer, caplog: pytest.LogCaptureFixture
) -> None:
    store.push()
    store.variables["ASCEND_OPS_REMOTE_KEYS"] = signatures.shown(signer.public_key)
    assert store.download() is None
    assert "entry is not signed" in warning(caplog, store)


def test_an_entry_signed_by_another_key_is_refused(
    store: Store, signer: Signer, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    store.push(signer=signer)
    other = signatures.make_key(tmp_path / "other")
    store.variables["ASCEND_OPS_REMOTE_KEYS"] = signatures.shown(other)
    assert store.download() is None
    assert "signed by another key" in warning(caplog, store)


@pytest.mark.parametrize("changed", ["signature", "log", "key"])
def test_a_wrong_signature_is_refused(
    store: Store, signer: Signer, caplog: pytest.LogCaptureFixture, changed: str
) -> None:
    entry = store.push(signer=signer)
    document = store.document(entry)
    fields = json.loads(document.read_bytes())
    if changed == "signature":
        signature = fields["signatures"][0]["signature"]
        fields["signatures"][0]["signature"] = signature[-4:-2] + signature[2:]
    elif changed == "log":  # not the library: everything in an entry is signed
        content = b"nothing was built here"
        file = documents.File(len(content), documents.digest_bytes(content))
        (store.folder / file.name).parent.mkdir(parents=True, exist_ok=True)
        (store.folder / file.name).write_bytes(content)
        fields["files"]["build.log"] = {"bytes": file.bytes, "sha256": file.digest}
    else:
        fields["signatures"][0]["key"] = "AAAA"
    document.write_text(json.dumps(fields), encoding="utf-8")
    store.variables["ASCEND_OPS_REMOTE_KEYS"] = signatures.shown(signer.public_key)
    assert store.download() is None
    assert "must be signed by a key in ASCEND_OPS_REMOTE_KEYS" in warning(caplog, store)


def test_keys_that_cannot_be_parsed_are_an_error(store: Store) -> None:
    store.push()
    store.variables["ASCEND_OPS_REMOTE_KEYS"] = "/no/such/file"
    with pytest.raises(EnvironmentVariableError, match="/no/such/file"):
        store.download()


# Servers that cannot be used.


@HTTP
@pytest.mark.parametrize(
    ("fault", "trigger", "reason"),
    [
        ("hang", "index", "it did not answer within 1 s (ASCEND_OPS_REMOTE_TIMEOUT)"),
        ("drip", "index", "it did not answer within 1 s (ASCEND_OPS_REMOTE_TIMEOUT)"),
        ("hang", "/files/", "it did not answer within 1 s (ASCEND_OPS_REMOTE_TIMEOUT)"),
        ("fail", "index", "503"),
        ("truncate", "/files/", "ClientPayloadError"),
        ("shorten", "/files/", "must have the digest in its name"),
        ("flood", "/files/", "has more than"),
        ("flood", "index", "has more than"),
    ],
)
def test_a_broken_server_costs_one_warning_and_no_more_than_the_limit(
    store: Store, caplog: pytest.LogCaptureFixture, fault: str, trigger: str, reason: str
) -> None:
    store.push()
    store.variables["ASCEND_OPS_REMOTE_TIMEOUT"] = "1" if fault in ("hang", "drip") else "600"
    with served(store.folder, fault, trigger) as (url, requests):
        assert store.download(url) is None
        message = warning(caplog, store, url)
        assert reason in message
        seen = len(requests)
        if "is left alone for 300 s" in message:
            assert store.download(url) is None
            assert len(requests) == seen
            assert warning(caplog, store, url) == message


@HTTP
def test_a_server_that_refuses_connections_rests_for_a_while(
    store: Store, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{unused.getsockname()[1]}"
        assert store.download(url) is None
        assert "is left alone for 300 s" in warning(caplog, store, url)
        assert server.rests(url)
        now = server.time.monotonic()
        monkeypatch.setattr(server.time, "monotonic", lambda: now + server.REST_SECONDS + 1)
        assert not server.rests(url)


@pytest.mark.parametrize(
    ("url", "reason"),
    [("nosuch://server/x", "nosuch"), ("abfs://container/x", "its driver is not installed")],
)
def test_a_protocol_without_a_driver_is_a_warning(
    store: Store, caplog: pytest.LogCaptureFixture, url: str, reason: str
) -> None:
    assert store.download(url) is None
    assert reason in warning(caplog, store, url)


def test_warnings_contain_no_password(store: Store, caplog: pytest.LogCaptureFixture) -> None:
    assert store.download("nosuch://me:secret@server/x?token=secret") is None
    assert "secret" not in warning(caplog, store, "nosuch://server/x")


def test_a_folder_that_others_can_write_to_requires_signatures(
    store: Store, signer: Signer, caplog: pytest.LogCaptureFixture
) -> None:
    store.push(signer=signer)
    store.folder.chmod(0o777)
    assert store.download() is None
    assert "ASCEND_OPS_REMOTE_KEYS" in warning(caplog, store)
    server._resting.clear()
    store.variables["ASCEND_OPS_REMOTE_KEYS"] = signatures.shown(signer.public_key)
    assert store.download() is not None
