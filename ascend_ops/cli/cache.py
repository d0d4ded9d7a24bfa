"""``ascend-ops cache``: list, explain, verify, prune, move and push cached ops."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from op_builder import envs
from op_builder.cache import archive, maintenance
from op_builder.cache.entry import Entry
from op_builder.cache.key import BuildKey
from op_builder.cache.layers import Layer, layers, user_root
from op_builder.errors import CompilerNotFoundError
from op_builder.registry import ALL_OPS, builder_of
from op_builder.remote.presence import presence

from .output import JsonFlag, fail, op_names, print_json, print_table, print_text, print_tree
from .push import make_key, push

app = typer.Typer(help="Manage the build cache.", no_args_is_help=True)
app.command()(push)
app.command()(make_key)


def _layers() -> list[Layer]:
    return layers(envs.process_environment(), ALL_OPS[0]().prebuilt_dir())


def _user_layer() -> Layer:
    return Layer("user", user_root(envs.process_environment()), shipped=False)


def _described(entry: Entry) -> dict[str, Any]:
    manifest = entry.manifest
    return {
        "op": entry.op,
        "layer": entry.layer,
        "bytes": manifest.payload_bytes,
        "build_seconds": manifest.build_seconds,
        "created": manifest.created,
        "bound_to": manifest.recipe["bound_to"],
        "path": entry.path,
    }


@app.command("list")
def list_entries(json: JsonFlag = False) -> None:
    """List the cached ops of every layer."""
    found = list(maintenance.all_entries(_layers()))
    entries = [_described(entry) for entry in found if isinstance(entry, Entry)]
    damaged = [entry for entry in found if isinstance(entry, str)]
    if json:
        print_json({"entries": entries, "damaged": damaged})
        return
    rows = [
        (e["op"], e["layer"], f"{e['bytes'] / 1024:.0f}", e["created"], e["path"]) for e in entries
    ]
    print_table("Cached ops", ("op", "layer", "KiB", "built", "path"), rows)
    for line in damaged:
        print_text("not an entry:", line)


@app.command()
def explain(
    op: Annotated[str, typer.Argument(autocompletion=op_names)], json: JsonFlag = False
) -> None:
    """Show whether OP is cached, what its key contains, and what differs if it is not.

    If it is not cached, the index of the remote cache is read too.
    """
    plan = builder_of(op).plan()
    lookup = plan.find()
    try:
        key = plan.build_key()
    except CompilerNotFoundError as error:
        if lookup.entry is None:
            raise fail(str(error)) from error
        manifest = lookup.entry.manifest  # without a compiler, any build of the recipe is a hit
        key = BuildKey(manifest.recipe, manifest.toolchain)
    near = None if lookup.entry else maintenance.nearest(list(plan.layers), plan.spec.name, key)
    remote = None if lookup.entry else presence(plan.recipe, key, plan.environ)
    content = {
        "op": plan.spec.name,
        "hit": lookup.entry.path if lookup.entry else None,
        "origin": lookup.entry.origin() if lookup.entry else None,
        "remote": None if remote is None else vars(remote),
        "refusals": lookup.refusals,
        "nearest": near.entry.path if near else None,
        "differences": near.differences if near else [],
        "build_key": key.digest,
        "recipe": key.recipe,
        "toolchain": key.toolchain,
        "headers": len(lookup.entry.manifest.headers) if lookup.entry else None,
    }
    if json:
        print_json(content)
        return
    _show_explanation(content)


def _show_explanation(content: dict[str, Any]) -> None:
    if content["hit"]:
        print_text("hit:", content["hit"], style="green")
        if content["origin"] is not None:
            print_text("downloaded from", _described_origin(content["origin"]), indent=2)
        print_text(f"Its key includes the content of {content['headers']} headers.")
    else:
        print_text("miss", style="yellow")
        for refusal in content["refusals"]:
            print_text("refused:", refusal, indent=2)
        if content["nearest"]:
            print_text("nearest entry:", content["nearest"])
            for line in content["differences"] or ["same key; the reason is given above"]:
                print_text(line, indent=2)
        if content["remote"] is not None:
            print_text("remote cache", _described_remote(**content["remote"]))
    print_text()
    print_text(f"build key {content['build_key']}, computed from")
    print_tree({"recipe": content["recipe"], "toolchain": content["toolchain"]}, indent=2)


def _described_origin(origin: dict[str, Any]) -> str:
    signer = origin.get("signed_by")
    return (
        f"{origin.get('url', 'a remote cache')}, {f'signed by {signer}' if signer else 'unsigned'}"
    )


def _described_remote(url: str, builds: int, others: int, problem: str | None) -> str:
    if problem is not None:
        return f"{url} cannot be used: {problem}"
    if builds:
        return (
            f"{url} lists {builds} build(s) with this key; `ascend-ops build` tries to download one"
        )
    return f"{url} has no build with this key, and {others} of this recipe with another key"


@app.command()
def verify(json: JsonFlag = False) -> None:
    """Check every library against its manifest; exit with 1 if one is damaged."""
    checked, damages = 0, []
    for entry in maintenance.all_entries(_layers()):
        checked += 1
        damage = entry if isinstance(entry, str) else entry.damage()
        if damage:
            damages.append(damage)
    if json:
        print_json({"checked": checked, "damaged": damages})
    else:
        print_text(f"{checked} entries checked, {len(damages)} damaged")
    for damage in damages:
        fail(damage)
    if damages:
        raise typer.Exit(1)


@app.command()
def prune(
    days: Annotated[
        float, typer.Option(min=0, help="Delete entries that were unused for this many days.")
    ] = 30,
    json: JsonFlag = False,
) -> None:
    """Delete unused entries and remains of killed builds from the user's cache."""
    removed = maintenance.prune(_user_layer(), days)
    if json:
        print_json({"removed": removed})
    else:
        print_text(f"{len(removed)} folders removed")


@app.command()
def pack(
    file: Annotated[Path, typer.Argument(metavar="ARCHIVE", help="The .tar.gz file to write.")],
    ops: Annotated[list[str] | None, typer.Argument(help="Names of ops; all by default.")] = None,
    json: JsonFlag = False,
) -> None:
    """Write the ops in the user's cache to ARCHIVE, for `cache unpack` on other machines."""
    entries = [
        entry
        for entry in maintenance.all_entries([_user_layer()])
        if isinstance(entry, Entry) and (entry.op in ops if ops else not entry.is_header)
    ]
    missing = set(ops or ()) - {entry.op for entry in entries}
    if missing or not entries:
        wanted = f"no {', '.join(sorted(missing))}" if missing else "nothing to pack"
        raise fail(f"{wanted} in {_user_layer().root}; build it with `ascend-ops build`")
    packed = archive.pack(entries, file)
    if json:
        print_json({"archive": file, "entries": [_described(entry) for entry in packed]})
    else:
        print_text(f"packed {len(packed)} entries into", file)


@app.command()
def unpack(
    file: Annotated[Path, typer.Argument(metavar="ARCHIVE", help="The output of `cache pack`.")],
    site: Annotated[
        Path | None,
        typer.Option(help="Unpack into this folder; set ASCEND_OPS_SITE_CACHE_DIR to it."),
    ] = None,
    json: JsonFlag = False,
) -> None:
    """Add the ops of ARCHIVE to the user's cache, or to a site's cache."""
    layer = _user_layer() if site is None else Layer("site", site.absolute(), shipped=True)
    added, present = archive.unpack(file, layer)
    if json:
        print_json({"added": [_described(entry) for entry in added], "present": present})
    else:
        print_text(f"{len(added)} entries added, {len(present)} already present:", layer.root)


@app.command()
def clear(
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask for confirmation.")] = False,
    json: JsonFlag = False,
) -> None:
    """Delete the user's cache."""
    layer = _user_layer()
    if not yes:
        typer.confirm(f"Delete everything in {layer.root}?", abort=True, err=True)
    maintenance.clear(layer)
    if json:
        print_json({"cleared": layer.root})
    else:
        print_text("cleared", layer.root)
