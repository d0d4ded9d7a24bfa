"""Find an entry in the remote cache, verify it, and publish it in a local layer."""

from __future__ import annotations

import contextlib
import json
import logging
import shutil
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

from .. import envs
from ..cache import store
from ..cache.entry import MANIFEST, ORIGIN, Entry
from ..cache.key import BuildKey
from ..cache.layers import Layer, first_writable
from ..errors import AscendOpsError, CacheError
from ..lazy_dataclass import dataclass
from ..recipe import ninja
from ..recipe.spec import HEADER, BuildSpec
from ..system import file_identity
from ..system.private_folder import file_mode, make_below, write_file
from ..system.trust import unsafe
from . import documents, signatures
from .documents import Document, Place
from .server import REST_SECONDS, Server, ServerError, connected, rest, rests, shown

logger = logging.getLogger(__name__)

#: How many builds of one key are tried; they differ in the headers that the compiler read.
MOST_CANDIDATES = 16
#: How many bytes of this machine's files an entry may name as the inputs of its build. Hashing more
#: would take longer than the time limit; torch and CANN together have less.
MOST_HASHED = 4 << 30
_LOCAL = ("file://", "local://", "/")


class _RefusedError(AscendOpsError):
    """An entry must not be used; the message is the reason."""


@dataclass(frozen=True)
class Wanted:
    """The op that is looked up.

    Attributes:
        spec: The op.
        recipe: Its recipe.
        key: Its key; None on a machine without a compiler, which takes any build of the recipe.
        layers: The local layers.
        environ: The environment that names the remote cache.
    """

    spec: BuildSpec
    recipe: Mapping[str, Any]
    key: BuildKey | None
    layers: tuple[Layer, ...]
    environ: Mapping[str, str]


def download(wanted: Wanted) -> Entry | None:
    """Return an entry from the remote cache, now in a local layer; None if there is none.

    A server that cannot be used, or an entry that must not be, costs one warning and at most
    ASCEND_OPS_REMOTE_TIMEOUT seconds.

    Raises:
        EnvironmentVariableError: A variable of the remote cache cannot be parsed.
        UnsafeCacheError: The user's own cache is unsafe.
    """
    url = envs.REMOTE_CACHE.get(wanted.environ)
    if not url or wanted.spec.binding == HEADER or rests(url):
        return None
    layer = first_writable(wanted.layers)
    if layer is None:  # the build, which follows, reports the reasons
        return None
    try:
        keys = signatures.trusted_keys(wanted.environ)
        _check_local(url, keys)
        with store.staging(layer, "download") as work, connected(url, wanted.environ) as server:
            return _Search(wanted, server, layer, work, keys, url).first()
    except _RefusedError as error:
        _warn(wanted.spec.name, url, f"{error}; no entry was taken from it")
    except (ServerError, CacheError) as error:
        rest(url)
        _warn(wanted.spec.name, url, f"{error}; it is left alone for {REST_SECONDS:g} s")
    except OSError as error:
        _warn(wanted.spec.name, url, f"{layer.root}: {error.strerror or error}")
    return None


def _warn(op: str, url: str, reason: str) -> None:
    logger.warning("%s: remote cache %s (%s): %s", op, shown(url), envs.REMOTE_CACHE.name, reason)


def _check_local(url: str, keys: Collection[bytes] | None) -> None:
    """Refuse a folder that other users can write to, unless entries must be signed."""
    if keys is not None or not url.startswith(_LOCAL):
        return
    folder = Path("/" + url.partition("://")[2].lstrip("/") if "://" in url else url)
    try:
        danger = unsafe(folder, envs.REMOTE_CACHE.name)
    except OSError:
        return
    if danger:
        raise CacheError(
            f"{danger} Or sign the entries, and set {envs.REMOTE_KEYS.name} to the public key"
        )


@dataclass(frozen=True)
class _Search:
    """One look-up in an open remote cache."""

    wanted: Wanted
    server: Server
    layer: Layer
    work: Path
    keys: Collection[bytes] | None
    url: str

    def first(self) -> Entry | None:
        """Return the first entry that can be used, or None.

        Raises:
            _RefusedError: There is none, and an entry must not be used.
        """
        refusal = None
        for build_key, deps_key in self._candidates():
            try:
                entry = self._take(build_key, deps_key)
            except _RefusedError as error:
                refusal = refusal or error
                continue
            if entry is not None:
                return entry
        if refusal is not None:
            raise refusal
        logger.info("%s: not in the remote cache %s", self.wanted.spec.name, shown(self.url))
        return None

    def _candidates(self) -> list[tuple[str, str]]:
        name = documents.index_name(self.wanted.recipe)
        content = self._read(name, documents.LARGEST_INDEX)
        if content is None:
            return []
        try:
            listed = documents.parse_index(content)
        except ValueError as error:
            raise _RefusedError(f"{name} is damaged: {error}") from error
        key = self.wanted.key
        found = [pair for pair in listed if key is None or pair[0] == key.digest]
        return found[:MOST_CANDIDATES]

    def _take(self, build_key: str, deps_key: str) -> Entry | None:
        """Return an entry, now in the layer; None if it was built from other headers.

        Raises:
            _RefusedError: The entry must not be used.
        """
        recipe = self.wanted.recipe
        target, op = str(recipe["target"]), str(recipe["op"])
        place = Place(target, op, documents.recipe_key(recipe), build_key, deps_key)
        content = self._read(place.document, documents.LARGEST_DOCUMENT)
        if content is None:
            raise _RefusedError(f"{place.document} is missing")
        try:
            document = documents.parse_document(content)
        except ValueError as error:
            raise _RefusedError(f"{place.document} is damaged: {error}") from error
        signer = self._checked(document, place)
        parts = Path(place.target, place.op, place.build_key, place.deps_key)
        folder = self.work / parts
        make_below(self.work, folder, self.layer.mode)
        write_file(folder / MANIFEST, document.text.encode(), self.layer.mode)
        entry = Entry(folder, self.layer.name, document.manifest)
        self._check_cost(document, place)
        reason = store.refusal(entry, self.wanted.spec, recipe, self.wanted.key)
        if reason is not None:
            logger.info("%s: %s: %s", self.wanted.spec.name, shown(self.url), reason)
            return None
        self._get_files(document, folder)
        origin = {"url": shown(self.url), "signed_by": signer and signatures.shown(signer)}
        write_file(folder / ORIGIN, json.dumps(origin).encode(), self.layer.mode)
        final = self.layer.root / parts
        found = store.move_into_place(self.layer, folder, final, Entry.damage)
        logger.info("%s: downloaded from %s", self.wanted.spec.name, shown(self.url))
        return found or Entry(final, self.layer.name, document.manifest)

    def _checked(self, document: Document, place: Place) -> bytes | None:
        """Return the key that signed an entry, after checking its place and its library's name."""
        if document.place != place:
            raise _RefusedError(
                f"{place.document} is an entry that belongs in {document.place.document}"
            )
        if document.manifest.payload != ninja.library_name(self.wanted.spec):
            raise _RefusedError(f"{place.document} names its library {document.manifest.payload!r}")
        if self.keys is None:
            return None
        signer = signatures.signer_of(document, self.keys)
        if signer is None:
            raise _RefusedError(
                f"{place.document} must be signed by a key in {envs.REMOTE_KEYS.name}, but the "
                f"{_signature_problem(document, self.keys)}"
            )
        return signer

    def _check_cost(self, document: Document, place: Place) -> None:
        """Refuse an entry whose inputs on this machine would take long to hash."""
        total = 0
        for spelled in (*document.manifest.headers, *document.manifest.linked):
            with contextlib.suppress(OSError):
                total += Path(self.wanted.spec.resolve(spelled)).stat().st_size
        if total > MOST_HASHED:
            raise _RefusedError(f"{place.document} names inputs of {total} bytes")

    def _get_files(self, document: Document, folder: Path) -> None:
        """Download the files of an entry, each of which must match its digest."""
        total = sum(file.bytes for file in document.files.values())
        if total > shutil.disk_usage(self.work).free:
            raise _RefusedError(f"an entry of {total} bytes does not fit on the disk")
        for name, file in document.files.items():
            path = folder / name
            if not self.server.get(file.name, path, file.bytes):
                raise _RefusedError(f"{file.name} ({name}) is missing")
            size = path.stat().st_size
            if size != file.bytes or file_identity.digest_file(path) != file.digest:
                raise _RefusedError(
                    f"{file.name} ({name}) must have the digest in its name, got {size} bytes of "
                    f"other content"
                )
            path.chmod(file_mode(self.layer.mode))

    def _read(self, name: str, limit: int) -> bytes | None:
        """Return the content of an object, or None if it does not exist."""
        return self.server.read(name, self.work / "object", limit)


def _signature_problem(document: Document, keys: Collection[bytes]) -> str:
    if not document.signatures:
        return "entry is not signed"
    if any(each.key in keys for each in document.signatures):
        return "signature is not that of this entry"
    return "entry is signed by another key"
