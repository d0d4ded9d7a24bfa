"""Keys of the remote cache: how they are made, written and listed."""

from __future__ import annotations

from pathlib import Path

import pytest
from command_line import CommandLine
from remote_stores import Store

from op_builder.errors import CacheError, EnvironmentVariableError
from op_builder.remote import signatures
from op_builder.remote.documents import Document, Signature
from op_builder.remote.push import document_of
from op_builder.remote.signatures import Signer

ed25519 = pytest.importorskip(
    "cryptography.hazmat.primitives.asymmetric.ed25519", reason="cryptography is not installed"
)
serialization = pytest.importorskip("cryptography.hazmat.primitives.serialization")

KEY = ed25519.Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
RAW = KEY.public_key().public_bytes_raw()


def public(encoding: str, form: str) -> bytes:
    """Return the public key in a form of the package ``cryptography``."""
    content: bytes = KEY.public_key().public_bytes(
        getattr(serialization.Encoding, encoding), getattr(serialization.PublicFormat, form)
    )
    return content


def private(form: str, password: bytes | None = None) -> bytes:
    """Return the private key in a form of the package ``cryptography``."""
    encryption = (
        serialization.NoEncryption()
        if password is None
        else serialization.BestAvailableEncryption(password)
    )
    content: bytes = KEY.private_bytes(
        serialization.Encoding.PEM, getattr(serialization.PrivateFormat, form), encryption
    )
    return content


PUBLIC_FILES = {
    "pem": public("PEM", "SubjectPublicKeyInfo"),
    "openssh": public("OpenSSH", "OpenSSH") + b" me@host\n",
    "base64": b"# a comment\n\n" + signatures.shown(RAW).encode() + b"\n",
    "hexadecimal": RAW.hex().encode(),
}


@pytest.mark.parametrize("form", PUBLIC_FILES)
def test_files_of_public_keys(tmp_path: Path, form: str) -> None:
    file = tmp_path / "a key.pub"
    file.write_bytes(PUBLIC_FILES[form])
    assert signatures.trusted_keys({"ASCEND_OPS_REMOTE_KEYS": str(file)}) == {RAW}


@pytest.mark.parametrize("separator", [",", ", ", ":", "\n"])
def test_a_list_of_keys_and_files(tmp_path: Path, separator: str) -> None:
    (tmp_path / "key").write_bytes(PUBLIC_FILES["pem"])
    other = bytes(32)
    listed = separator.join([str(tmp_path / "key"), signatures.shown(other)])
    assert signatures.trusted_keys({"ASCEND_OPS_REMOTE_KEYS": listed}) == {RAW, other}


def test_no_list_is_not_an_empty_list() -> None:
    assert signatures.trusted_keys({}) is None
    with pytest.raises(EnvironmentVariableError):
        signatures.trusted_keys({"ASCEND_OPS_REMOTE_KEYS": " , "})


@pytest.mark.parametrize(
    "content",
    [
        pytest.param(b"", id="empty"),
        pytest.param(private("PKCS8"), id="private-key"),
        pytest.param(b"-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n", id="bad-pem"),
        pytest.param(signatures.shown(RAW).encode() + b"\nanother line\n", id="other-line"),
        pytest.param(b"ssh-ed25519 AAAA", id="bad-openssh"),
        pytest.param(b"\xff\x00" * 100, id="binary"),
    ],
)
def test_a_file_without_a_public_key_is_an_error(tmp_path: Path, content: bytes) -> None:
    """A list that trusts fewer keys than it names, or none, must not be used silently."""
    file = tmp_path / "key"
    file.write_bytes(content)
    with pytest.raises(EnvironmentVariableError, match="ASCEND_OPS_REMOTE_KEYS must be Ed25519"):
        signatures.trusted_keys({"ASCEND_OPS_REMOTE_KEYS": str(file)})


@pytest.mark.parametrize("form", ["PKCS8", "OpenSSH"])
def test_private_keys(tmp_path: Path, form: str) -> None:
    file = tmp_path / "key"
    file.write_bytes(private(form))
    assert Signer.read(file).public_key == RAW


@pytest.mark.parametrize(
    "content",
    [
        pytest.param(b"", id="empty"),
        pytest.param(PUBLIC_FILES["pem"], id="public-key"),
        pytest.param(private("PKCS8", b"secret"), id="encrypted"),
    ],
)
def test_a_file_without_a_private_key_is_an_error(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "key"
    file.write_bytes(content)
    with pytest.raises(CacheError, match="must be an unencrypted Ed25519 private key"):
        Signer.read(file)


def test_made_keys_are_private_and_never_replaced(
    command_line: CommandLine, tmp_path: Path
) -> None:
    file = tmp_path / "key"
    made = command_line("cache", "make-key", file, "--json").json
    assert file.stat().st_mode & 0o777 == 0o600
    assert made["key"] == signatures.shown(Signer.read(file).public_key)
    assert signatures.trusted_keys({"ASCEND_OPS_REMOTE_KEYS": made["public"]}) == {
        Signer.read(file).public_key
    }
    before = file.read_bytes()
    done = command_line("cache", "make-key", file)
    assert (done.status, file.read_bytes()) == (1, before)
    assert "File exists" in done.err


@pytest.fixture
def document(tmp_path: Path) -> Document:
    return document_of(Store.below(tmp_path).shelf.publish())


def test_a_valid_signature_names_its_key(document: Document, tmp_path: Path) -> None:
    (tmp_path / "key").write_bytes(private("PKCS8"))
    signature = Signer.read(tmp_path / "key").sign(document)
    signed = Document(document.text, document.manifest, document.files, (signature,))
    assert signatures.signer_of(signed, [bytes(32), RAW]) == RAW
    assert signatures.signer_of(signed, [bytes(32)]) is None
    assert signatures.signer_of(document, [RAW]) is None


@pytest.mark.parametrize("signature", [b"", bytes(64), b"x" * 63])
def test_odd_signatures_are_not_valid(document: Document, signature: bytes) -> None:
    for key in (RAW, b"", b"short"):
        signed = Document(
            document.text, document.manifest, document.files, (Signature(key, signature),)
        )
        assert signatures.signer_of(signed, [RAW, b"", b"short"]) is None
