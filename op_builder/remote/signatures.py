"""Ed25519 signatures of entries, and the keys that are trusted.

A library is code, so whoever can write to the remote cache could otherwise run code on every
machine that reads it.
"""

from __future__ import annotations

import base64
import os
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from .. import envs
from ..errors import CacheError, EnvironmentVariableError
from ..system.private_folder import write_file
from ..system.regular_file import read_regular
from .documents import Document, Signature

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

INSTALL = "pip install 'ascend_ops[remote]'"

_KEY_BYTES = 32
_LARGEST = 1 << 20
_PEM, _SSH = b"-----BEGIN", b"ssh-ed25519"
_WANTED = "Ed25519 public keys or files of them, separated by commas"


class Signer:
    """A private key, to sign entries with.

    Attributes:
        public_key: The raw public key, 32 bytes.
    """

    def __init__(self, key: Ed25519PrivateKey) -> None:
        self._key = key
        self.public_key: bytes = key.public_key().public_bytes_raw()

    @classmethod
    def read(cls, file: Path) -> Signer:
        """Return the key in ``file``, in the PEM form of PKCS #8 or in that of OpenSSH.

        Raises:
            CacheError: The file cannot be read, or contains no usable key.
        """
        serialization, ed25519 = _modules()
        try:
            content = file.read_bytes()  # which may be a pipe, from a secret of a CI system
            load = (
                serialization.load_ssh_private_key
                if b"OPENSSH" in content.partition(b"\n")[0]
                else serialization.load_pem_private_key
            )
            key = load(content, password=None)
        except OSError as error:
            raise CacheError(f"{file} cannot be read: {error.strerror or error}") from error
        except (ValueError, TypeError, _unsupported()) as error:  # TypeError: it is encrypted
            raise CacheError(
                f"{file} must be an unencrypted Ed25519 private key, as `ascend-ops cache "
                f"make-key` writes it: {error}"
            ) from error
        if not isinstance(key, ed25519.Ed25519PrivateKey):
            raise CacheError(f"{file} must be an Ed25519 private key, got another kind of key")
        return cls(key)

    def sign(self, document: Document) -> Signature:
        """Return the signature of an entry."""
        return Signature(self.public_key, self._key.sign(document.statement()))


def make_key(file: Path) -> bytes:
    """Write a new private key to ``file``, which only its owner can read; return its public key.

    Raises:
        CacheError: The file exists or cannot be written.
    """
    serialization, ed25519 = _modules()
    key = ed25519.Ed25519PrivateKey.generate()
    content: bytes = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    try:
        descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        with os.fdopen(descriptor, "wb") as stream:
            stream.write(content)
        public: bytes = key.public_key().public_bytes_raw()
        write_file(public_file(file), shown(public).encode() + b"\n", 0o755)
    except OSError as error:
        raise CacheError(f"{file} cannot be written: {error.strerror or error}") from error
    return public


def public_file(file: Path) -> Path:
    """Return the name of the file with the public key of ``file``."""
    return file.with_name(f"{file.name}.pub")


def shown(public_key: bytes) -> str:
    """Return a public key as text, which :data:`envs.REMOTE_KEYS` takes."""
    return base64.b64encode(public_key).decode("ascii")


def trusted_keys(environ: Mapping[str, str]) -> frozenset[bytes] | None:
    """Return the raw keys that ASCEND_OPS_REMOTE_KEYS lists; None if it is not set.

    Raises:
        EnvironmentVariableError: An item is not a key, nor a file of keys.
        CacheError: The package ``cryptography`` is missing.
    """
    if not envs.REMOTE_KEYS.raw(environ):
        return None
    items = envs.REMOTE_KEYS.get(environ)
    if not items:
        _refuse(environ, _WANTED)
    keys: set[bytes] = set()
    for item in items:
        key = _raw_key(item)
        keys.update([key] if key else _keys_in(Path(item).expanduser(), environ))
    return frozenset(keys)


def signer_of(document: Document, keys: Collection[bytes]) -> bytes | None:
    """Return the first of ``keys`` that has signed an entry, or None.

    Raises:
        CacheError: The package ``cryptography`` is missing.
    """
    _, ed25519 = _modules()
    from cryptography.exceptions import InvalidSignature

    statement = document.statement()
    for each in document.signatures:
        if each.key not in keys:
            continue
        try:
            ed25519.Ed25519PublicKey.from_public_bytes(each.key).verify(each.signature, statement)
        except (InvalidSignature, ValueError):
            continue
        return each.key
    return None


def _keys_in(file: Path, environ: Mapping[str, str]) -> list[bytes]:
    """Return the keys in a file: one PEM block, or a key per line, as base64 or for OpenSSH."""
    try:
        content = read_regular(file, _LARGEST)
    except OSError as error:
        _refuse(environ, f"{_WANTED} ({file}: {error.strerror or error})")
    if content.lstrip().startswith(_PEM):
        return [_loaded(content, file, environ)]
    lines = [line.strip() for line in content.splitlines()]
    keys = [
        _loaded(line, file, environ) if line.startswith(_SSH) else _raw_key(line.decode("latin-1"))
        for line in lines
        if line and not line.startswith(b"#")
    ]
    found = [key for key in keys if key]
    if not found or len(found) != len(keys):
        _refuse(environ, f"{_WANTED} ({file} must have one key per line)")
    return found


def _loaded(content: bytes, file: Path, environ: Mapping[str, str]) -> bytes:
    serialization, ed25519 = _modules()
    load = (
        serialization.load_ssh_public_key
        if content.startswith(_SSH)
        else serialization.load_pem_public_key
    )
    try:
        key = load(content)
    except (ValueError, _unsupported()):
        key = None
    if not isinstance(key, ed25519.Ed25519PublicKey):
        _refuse(environ, f"{_WANTED} ({file} must contain an Ed25519 public key)")
    raw: bytes = key.public_bytes_raw()
    return raw


def _raw_key(text: str) -> bytes | None:
    """Return a key from its base64 or hexadecimal digits; None if ``text`` is something else."""
    try:
        is_hex = len(text) == 2 * _KEY_BYTES
        key = bytes.fromhex(text) if is_hex else base64.b64decode(text, validate=True)
    except ValueError:
        return None
    return key if len(key) == _KEY_BYTES else None


def _refuse(environ: Mapping[str, str], wanted: str) -> NoReturn:
    variable = envs.REMOTE_KEYS
    raise EnvironmentVariableError(variable.name, variable.raw(environ), wanted)


def _modules() -> tuple[Any, Any]:
    try:
        from cryptography.hazmat.primitives import serialization
        from cryptography.hazmat.primitives.asymmetric import ed25519
    except ImportError as error:
        raise CacheError(f"signatures require the package cryptography: {INSTALL}") from error
    return serialization, ed25519


def _unsupported() -> type[Exception]:
    from cryptography.exceptions import UnsupportedAlgorithm

    return UnsupportedAlgorithm
