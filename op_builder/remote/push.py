"""Upload entries to a remote cache.

An entry is complete before the index lists it: first its files, then its document, then the index.
Two machines may write one index at the same time. After each of them has written it, it compares
it with the documents that exist, and writes it again if one is missing. So the last index that is
written lists all entries.
"""

from __future__ import annotations

import re
import uuid
from collections.abc import Callable
from typing import Any

from ..cache.entry import MANIFEST, Entry
from ..cache.manifest import LARGEST, Manifest
from ..errors import AscendOpsError, CacheError
from ..lazy_dataclass import dataclass
from ..system.file_identity import digest_bytes, digest_file
from ..system.regular_file import read_regular
from . import documents
from .documents import Document, File, Place
from .server import shown
from .signatures import INSTALL, Signer, signer_of

_ATTEMPTS = 20
_MOST_LISTED = 4096
_DOCUMENT = re.compile(r"([0-9a-f]{40})/([0-9a-f]{40})\.json$")


@dataclass(frozen=True)
class Pushed:
    """What became of one entry.

    Attributes:
        entry: The entry.
        outcome: ``pushed``; ``present`` if the remote cache had it already; ``skipped`` if it was
            downloaded itself; ``failed``.
        bytes: How much was uploaded.
        reason: Why it was skipped or failed.
    """

    entry: Entry
    outcome: str
    bytes: int = 0
    reason: str = ""


class Pusher:
    """Uploads entries to one remote cache.

    Args:
        url: The remote cache.
        signer: The key to sign the entries with, or None.
        again: Upload entries even if they are present.

    Raises:
        CacheError: The driver of ``url`` is missing or refuses it.
    """

    def __init__(self, url: str, signer: Signer | None = None, *, again: bool = False) -> None:
        self._url, self._signer, self._again = url, signer, again
        self._store, root = _opened(url)
        self._root = root.rstrip("/")

    def push(self, entry: Entry, on_bytes: Callable[[int], None] = lambda _: None) -> Pushed:
        """Upload an entry, and list it.

        An entry that was downloaded is skipped: it was not built here, so this machine's key must
        not vouch for it.

        Args:
            entry: The entry.
            on_bytes: Called with the size of each file that is done.
        """
        if entry.is_downloaded:
            return Pushed(entry, "skipped", reason="it was downloaded from a remote cache")
        try:
            self._store.invalidate_cache()
            document = document_of(entry)
            there = self._document(document.place)
            if there is not None and self._suffices(there):
                outcome, uploaded = "present", 0
            else:
                uploaded = self._upload(entry, document, there, on_bytes)
                outcome = "pushed"
            self._list(document)
        except (AscendOpsError, ValueError) as error:
            return Pushed(entry, "failed", reason=str(error))
        except NotImplementedError:
            reason = "this protocol cannot be written; push to the store behind the server"
            return Pushed(entry, "failed", reason=f"{shown(self._url)}: {reason}")
        except Exception as error:  # noqa: BLE001 - drivers raise errors of many kinds
            reason = f"{type(error).__name__}: {' '.join(str(error).split())}"
            return Pushed(entry, "failed", reason=f"{shown(self._url)}: {reason}")
        return Pushed(entry, outcome, uploaded)

    def _suffices(self, there: Document) -> bool:
        """Return whether an entry that is present need not be uploaded."""
        if self._again or any(self._size(file) != file.bytes for file in there.files.values()):
            return False
        return self._signer is None or signer_of(there, [self._signer.public_key]) is not None

    def _upload(
        self,
        entry: Entry,
        document: Document,
        there: Document | None,
        on_bytes: Callable[[int], None],
    ) -> int:
        """Upload the files and the document of an entry; return the number of bytes."""
        uploaded = 0
        for name, file in document.files.items():
            if self._again or self._size(file) != file.bytes:
                content = read_regular(entry.path / name, documents.LARGEST_FILE)
                if digest_bytes(content) != file.digest:
                    raise CacheError(f"{entry.path / name} has changed while it was uploaded")
                self._write(file.name, content)
                uploaded += file.bytes
            on_bytes(file.bytes)
        same = there is not None and there.statement() == document.statement()
        kept = there.signatures if there is not None and same else ()
        if self._signer is not None:
            own = self._signer.sign(document)
            kept = (*(each for each in kept if each.key != own.key), own)
        content = Document(document.text, document.manifest, document.files, kept).content()
        self._write(document.place.document, content)
        return uploaded + len(content)

    def _list(self, document: Document) -> None:
        """Add an entry to the index of its recipe, as the first one to try."""
        recipe, place = document.manifest.recipe, document.place
        name, own = documents.index_name(recipe), (place.build_key, place.deps_key)
        for _ in range(_ATTEMPTS):
            self._store.invalidate_cache()
            listed = self._index(name)
            exist = {own, *(self._existing(documents.recipe_folder(recipe)) or listed)}
            wanted = [*(pair for pair in listed if pair in exist), own, *sorted(exist)]
            if own not in listed:
                wanted.insert(0, own)
            wanted = list(dict.fromkeys(wanted))[:_MOST_LISTED]
            if listed == wanted:
                return
            self._write(name, documents.index_content(wanted))
        raise CacheError(f"{name} cannot be written: other processes keep changing it")

    def _existing(self, folder: str) -> list[tuple[str, str]] | None:
        """Return the entries whose documents exist; None if the protocol cannot list them."""
        if _speaks(self._store, "http", "https"):
            return None
        found = map(_DOCUMENT.search, self._store.find(f"{self._root}/{folder}"))
        return [(match[1], match[2]) for match in found if match]

    def _index(self, name: str) -> list[tuple[str, str]]:
        content = self._read(name)
        try:
            return [] if content is None else documents.parse_index(content)
        except ValueError:  # it is written anew
            return []

    def _document(self, place: Place) -> Document | None:
        """Return the document of an entry that is present, or None; a damaged one is replaced."""
        content = self._read(place.document)
        try:
            document = None if content is None else documents.parse_document(content)
        except ValueError:
            return None
        return document if document is not None and document.place == place else None

    def _size(self, file: File) -> int:
        try:
            size = self._store.info(f"{self._root}/{file.name}").get("size")
        except FileNotFoundError:
            return -1
        return -1 if size is None else int(size)

    def _read(self, name: str) -> bytes | None:
        try:
            content: bytes = self._store.cat_file(f"{self._root}/{name}")
        except FileNotFoundError:
            return None
        return content

    def _write(self, name: str, content: bytes) -> None:
        """Write an object; a reader sees all of it or nothing, as object stores guarantee."""
        path = f"{self._root}/{name}"
        if not _speaks(self._store, "file"):
            self._store.pipe_file(path, content)
            return
        draft = f"{path}.{uuid.uuid4().hex[:12]}.part"
        self._store.pipe_file(draft, content)
        self._store.mv(draft, path)  # a rename


def document_of(entry: Entry) -> Document:
    """Return the document of a local entry, without signatures.

    Raises:
        CacheError: The entry is damaged or incomplete.
    """
    damage = entry.damage(to_load=False)
    if damage:
        raise CacheError(f"damaged entry cannot be pushed: {damage}")
    try:
        text = read_regular(entry.path / MANIFEST, LARGEST).decode("utf-8")
        manifest = Manifest.parse(text.encode())
        names = manifest.files
        files = {
            name: File((entry.path / name).stat().st_size, digest_file(entry.path / name))
            for name in names
        }
    except (OSError, ValueError) as error:
        raise CacheError(f"damaged entry cannot be pushed: {entry.path}: {error}") from error
    return Document(text, manifest, files)


def _opened(url: str) -> tuple[Any, str]:
    try:
        from fsspec.core import url_to_fs

        store, root = url_to_fs(url)
        return (type(store)(auto_mkdir=True) if _speaks(store, "file") else store), root
    except ImportError as error:
        raise CacheError(
            f"{shown(url)}: its driver is not installed ({error}): {INSTALL}"
        ) from error
    except Exception as error:
        raise CacheError(f"{shown(url)}: {type(error).__name__}: {error}") from error


def _speaks(store: Any, *protocols: str) -> bool:
    own = (store.protocol,) if isinstance(store.protocol, str) else store.protocol
    return not set(own).isdisjoint(protocols)
