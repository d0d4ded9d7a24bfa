"""The build cache: writable, not noexec, not shared by accident, and safe from other users."""

from __future__ import annotations

import os
from pathlib import Path

from op_builder import envs
from op_builder.cache.layers import Layer, can_be_written, layers
from op_builder.cache.lock import lock_folder
from op_builder.errors import AscendOpsError

from ..finding import Examination, Remedy
from ..mounts import Mount
from ..survey import Survey


def examine(survey: Survey) -> Examination:
    """Check the layers of the cache, and the folder of the locks."""
    found = Examination("cache")
    environ = survey.machine.environ
    try:
        places = layers(environ, None)
    except AscendOpsError as error:
        name = str(error).partition("variable ")[2].partition(" ")[0] or envs.CACHE_DIR.name
        found.broken("variable", str(error), "No op can be loaded.", f"unset {name}")
        return found
    for layer in places:
        mount = survey.mount_of(layer.root)
        state = _state(layer, mount)
        kind = f", {mount.kind}" if mount else ""
        found.fact(f"{layer.name} cache", f"{state}{kind}", layer.root)
        if layer.name != "temporary":
            _check_layer(survey, layer, mount, found)
    _check_locks(survey, found)
    return found


def _state(layer: Layer, mount: Mount | None) -> str:
    if layer.danger():
        return "refused"
    if _is_noexec(layer, mount):
        return "noexec"
    if _is_writable(layer, mount):
        return "writable"
    return "read-only" if os.path.isdir(layer.root) else "cannot be created"  # noqa: PTH112


def _is_noexec(layer: Layer, mount: Mount | None) -> bool:
    return layer.noexec() is not None or (mount is not None and "noexec" in mount.options)


def _is_writable(layer: Layer, mount: Mount | None) -> bool:
    return can_be_written(layer.root) and not (mount is not None and "ro" in mount.options)


def _check_layer(survey: Survey, layer: Layer, mount: Mount | None, found: Examination) -> None:
    danger = layer.danger()
    elsewhere = _elsewhere(survey, layer)
    if danger is not None:
        found.broken(
            "unsafe",
            danger.rstrip("."),
            f"Nothing is loaded from the {layer.name} cache: another user could put code there.",
            *_repairs(layer, danger),
            elsewhere,
        )
        return
    if _is_noexec(layer, mount):
        found.broken(
            "noexec",
            f"the {layer.name} cache {layer.root} is on a file system that is mounted noexec",
            "A library on it cannot be loaded: failed to map segment from shared object.",
            elsewhere,
        )
        return
    if layer.name == "user" and not _is_writable(layer, mount):
        found.warning(
            "read_only",
            f"the user's cache {layer.root} cannot be written",
            "Ops are built into a temporary folder, and again after each restart of the machine or "
            "the container.",
            elsewhere,
        )
    if layer.name == "user" and mount is not None and mount.is_network:
        found.note(
            "network",
            f"the user's cache {layer.root} is on {mount.kind} ({mount.point})",
            "It works: entries are published by one rename, and need no lock. First uses on many "
            "nodes at once are faster with a cache on a local disk.",
            elsewhere,
        )


def _repairs(layer: Layer, danger: str) -> list[Remedy]:
    """Return the command that the message about a danger names in backticks."""
    named = [text for text in danger.split("`")[1::2] if text.startswith(("chmod", "chown"))]
    root = layer.root
    for text in named:
        if text.startswith("chown"):
            place = danger.split(" belongs to ")[0]
            return [Remedy(f'sudo chown "$(id -un)" {place or root}', "if it is yours")]
    return [Remedy(text) for text in named[:1]]


def _elsewhere(survey: Survey, layer: Layer) -> Remedy:
    """Return the command that sets the folder to one that works on most machines."""
    name = layer.variable
    folder = Path("/var/tmp", f"ascend_ops-{survey.machine.user.uid}")  # noqa: S108 - private
    if survey.machine.home is not None and not layer.root.is_relative_to(survey.machine.home):
        return Remedy(f'export {name}="$HOME/.cache/ascend_ops"')
    return Remedy(f"mkdir -m 700 {folder} && export {name}={folder}", "a folder on a local disk")


def _check_locks(survey: Survey, found: Examination) -> None:
    try:
        folder = lock_folder(survey.machine.environ)
    except AscendOpsError as error:
        found.broken(
            "lock_variable", str(error), "No op can be built.", f"unset {envs.LOCK_DIR.name}"
        )
        return
    mount = survey.mount_of(folder)
    found.fact("locks", mount.kind if mount else "unknown file system", folder)
    if mount is not None and mount.is_network:
        found.warning(
            "network_locks",
            f"the folder of build locks {folder} is on {mount.kind}",
            "Locks of a network file system may hang or have no effect; ops may then be built "
            "several times.",
            f"unset {envs.LOCK_DIR.name}",
        )
