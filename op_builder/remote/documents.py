"""The objects of a remote cache: their names, and the strict schemas of their contents.

    1/<target>/<op>/<recipe>/index.json                         the entries of a recipe
    1/<target>/<op>/<recipe>/<build_key>/<deps_key>.json        one entry, without its files
    1/files/<first two digits>/<digest>                         a file, named by its SHA-256

A document holds the whole manifest, so a build decides whether an entry is valid before it
downloads the library. Files never change: if two machines push builds of one entry, the later
document refers to other files, and a reader sees one of the two builds as a whole.

Over HTTP a folder cannot be listed, so an index lists the entries. There is one per recipe, not one
per build key, since a machine without a compiler knows only the recipe.
"""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Iterable, Mapping
from typing import Any

from ..cache.entry import deps_key
from ..cache.key import BuildKey, canonical
from ..cache.manifest import LARGEST as LARGEST_MANIFEST
from ..cache.manifest import Manifest
from ..lazy_dataclass import dataclass
from ..system.file_identity import digest_bytes

#: Increment this when the meaning of anything in a remote cache changes.
VERSION = "1"
PURPOSE = "ascend_ops remote cache entry"

LARGEST_INDEX = 1 << 20
LARGEST_DOCUMENT = 2 * LARGEST_MANIFEST
LARGEST_FILE = 1 << 30
_MOST_SIGNATURES = 64

_DIGEST = re.compile(r"[0-9a-f]{64}")
_KEY = re.compile(r"[0-9a-f]{40}")


@dataclass(frozen=True)
class Place:
    """What an entry is found by: its recipe and its keys."""

    target: str
    op: str
    recipe: str
    build_key: str
    deps_key: str

    @classmethod
    def of(cls, manifest: Manifest) -> Place:
        """Return the only place where an entry may be, which its manifest decides."""
        recipe = manifest.recipe
        key = BuildKey(recipe, manifest.toolchain).digest
        return cls(
            str(recipe["target"]), str(recipe["op"]), recipe_key(recipe), key, deps_key(manifest)
        )

    @property
    def document(self) -> str:
        """The name of the entry's document."""
        folder = f"{VERSION}/{self.target}/{self.op}/{self.recipe}"
        return f"{folder}/{self.build_key}/{self.deps_key}.json"


@dataclass(frozen=True)
class File:
    """The size and the digest of one file of an entry."""

    bytes: int
    digest: str

    @property
    def name(self) -> str:
        """The name of the object with the file's content."""
        return f"{VERSION}/files/{self.digest[:2]}/{self.digest}"


@dataclass(frozen=True)
class Signature:
    """An Ed25519 signature, and the public key that it was made for."""

    key: bytes
    signature: bytes


@dataclass(frozen=True)
class Document:
    """One entry of a remote cache, without the content of its files.

    Attributes:
        text: The text of the manifest.
        manifest: The manifest.
        files: The library, ``build.ninja`` and ``build.log``.
        signatures: The signatures, which are not verified yet.
    """

    text: str
    manifest: Manifest
    files: Mapping[str, File]
    signatures: tuple[Signature, ...] = ()

    @property
    def place(self) -> Place:
        """The place that the manifest gives the entry."""
        return Place.of(self.manifest)

    def statement(self) -> bytes:
        """Return what is signed: the place of the entry, and the digest of everything in it.

        An entry therefore cannot be moved to another key, and no file of it can be exchanged.
        """
        place = self.place
        return canonical(
            {
                "purpose": f"{PURPOSE} {VERSION}",
                "target": place.target,
                "op": place.op,
                "recipe": place.recipe,
                "build_key": place.build_key,
                "deps_key": place.deps_key,
                "manifest": digest_bytes(self.text.encode()),
                "files": {name: [file.bytes, file.digest] for name, file in self.files.items()},
            }
        )

    def content(self) -> bytes:
        """Return the document's text."""
        files = {
            name: {"bytes": file.bytes, "sha256": file.digest} for name, file in self.files.items()
        }
        signatures = [
            {"key": _encoded(each.key), "signature": _encoded(each.signature)}
            for each in self.signatures
        ]
        fields = {"manifest": self.text, "files": files, "signatures": signatures}
        return json.dumps(fields, indent=1, sort_keys=True).encode("ascii")


def recipe_key(recipe: Mapping[str, Any]) -> str:
    """Return the name of the folder with all entries of a recipe."""
    return digest_bytes(canonical(recipe))[:40]


def recipe_folder(recipe: Mapping[str, Any]) -> str:
    """Return the folder with all entries of a recipe."""
    return f"{VERSION}/{recipe['target']}/{recipe['op']}/{recipe_key(recipe)}"


def index_name(recipe: Mapping[str, Any]) -> str:
    """Return the name of the index of a recipe."""
    return f"{recipe_folder(recipe)}/index.json"


def index_content(entries: Iterable[tuple[str, str]]) -> bytes:
    """Return the text of an index; the first entries are tried first."""
    listed = [{"build_key": build, "deps_key": deps} for build, deps in entries]
    return json.dumps({"entries": listed}, indent=1).encode("ascii")


def parse_index(content: bytes) -> list[tuple[str, str]]:
    """Return the pairs of build_key and deps_key in an index.

    Raises:
        ValueError: The content is not an index.
    """
    found = _object(content, {"entries"})["entries"]
    if not isinstance(found, list):
        raise ValueError("entries must be a list")
    pairs = []
    for item in found:
        if not isinstance(item, dict) or item.keys() != {"build_key", "deps_key"}:
            raise ValueError("each entry must be an object with build_key and deps_key")
        pair = item["build_key"], item["deps_key"]
        if not all(isinstance(key, str) and _KEY.fullmatch(key) for key in pair):
            raise ValueError("build_key and deps_key must be 40 hexadecimal digits each")
        pairs.append(pair)
    return pairs


def parse_document(content: bytes) -> Document:
    """Return the document in an object's content.

    Raises:
        ValueError: The content is not a document, or its parts do not belong together.
    """
    found = _object(content, {"manifest", "files", "signatures"})
    text = found["manifest"]
    if not isinstance(text, str):
        raise ValueError("manifest must be a text")
    manifest = Manifest.parse(text.encode())
    files = _files(found["files"])
    if files.keys() != {*manifest.files} or len(files) != 3:
        raise ValueError(f"files must be {manifest.payload}, build.ninja and build.log")
    library = files[manifest.payload]
    if (library.bytes, library.digest) != (manifest.payload_bytes, manifest.payload_digest):
        raise ValueError(f"{manifest.payload} must be the library of the manifest")
    return Document(text, manifest, files, _signatures(found["signatures"]))


def _object(content: bytes, fields: set[str]) -> dict[str, Any]:
    try:
        found = json.loads(content.decode("utf-8"))
    except RecursionError:
        raise ValueError("the nesting is too deep") from None
    if not isinstance(found, dict) or found.keys() != fields:
        raise ValueError(f"the content must be an object of {', '.join(sorted(fields))}")
    return found


def _files(found: object) -> dict[str, File]:
    if not isinstance(found, dict):
        raise ValueError("files must be an object")
    files = {}
    for name, value in found.items():
        if not isinstance(value, dict) or value.keys() != {"bytes", "sha256"}:
            raise ValueError("each file must be an object with bytes and sha256")
        size, digest = value["bytes"], value["sha256"]
        if type(size) is not int or not 0 <= size <= LARGEST_FILE:
            raise ValueError(f"a file must have at most {LARGEST_FILE} bytes")
        if not isinstance(digest, str) or not _DIGEST.fullmatch(digest):
            raise ValueError("sha256 must be 64 hexadecimal digits")
        files[name] = File(size, digest)
    return files


def _signatures(found: object) -> tuple[Signature, ...]:
    if not isinstance(found, list) or len(found) > _MOST_SIGNATURES:
        raise ValueError(f"signatures must be a list of at most {_MOST_SIGNATURES}")
    signatures = []
    for item in found:
        if not isinstance(item, dict) or item.keys() != {"key", "signature"}:
            raise ValueError("each signature must be an object with key and signature")
        signatures.append(Signature(_decoded(item["key"]), _decoded(item["signature"])))
    return tuple(signatures)


def _encoded(content: bytes) -> str:
    return base64.b64encode(content).decode("ascii")


def _decoded(text: object) -> bytes:
    if not isinstance(text, str):
        raise ValueError("keys and signatures must be base64")
    return base64.b64decode(text, validate=True)  # binascii.Error is a ValueError
