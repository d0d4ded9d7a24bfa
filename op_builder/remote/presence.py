"""What a remote cache has of an op, for reports; only the index of its builds is downloaded."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from .. import envs
from ..cache.key import BuildKey
from ..errors import AscendOpsError
from ..lazy_dataclass import dataclass
from . import documents
from .server import connected, shown


@dataclass(frozen=True)
class Presence:
    """The builds of one recipe in a remote cache.

    Attributes:
        url: The URL, without a password.
        builds: How many builds have the key, or the recipe if no key is given.
        others: How many builds of the recipe have another key.
        problem: Why the server cannot be used, or None.
    """

    url: str
    builds: int = 0
    others: int = 0
    problem: str | None = None


def presence(
    recipe: Mapping[str, Any], key: BuildKey | None, environ: Mapping[str, str]
) -> Presence | None:
    """Query the remote cache for the builds of an op.

    Args:
        recipe: The recipe of the op.
        key: The key that a build must have; None if the same recipe is sufficient.
        environ: The environment that names the remote cache.

    Returns:
        What it has; None if no remote cache is set.

    Raises:
        EnvironmentVariableError: A variable of the remote cache cannot be parsed.
    """
    url = envs.REMOTE_CACHE.get(environ)
    if not url:
        return None
    name = documents.index_name(recipe)
    try:
        with tempfile.TemporaryDirectory() as folder, connected(url, environ) as server:
            content = server.read(name, Path(folder, "index.json"), documents.LARGEST_INDEX)
        listed = [] if content is None else documents.parse_index(content)
    except (AscendOpsError, OSError, ValueError) as error:
        return Presence(shown(url), problem=str(error))
    builds = sum(key is None or build_key == key.digest for build_key, _ in listed)
    return Presence(shown(url), builds, len(listed) - builds)
