"""``ascend-ops cache push`` and ``make-key``: fill a remote cache, and sign what is in it."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Annotated, Any

import typer

from op_builder import envs
from op_builder.cache import maintenance
from op_builder.cache.entry import Entry
from op_builder.cache.layers import Layer, user_root
from op_builder.remote import signatures
from op_builder.remote.push import Pushed, Pusher
from op_builder.remote.server import shown

from .output import JsonFlag, errors, fail, print_json, print_table, print_text


def push(
    ops: Annotated[list[str] | None, typer.Argument(help="Names of ops; all by default.")] = None,
    to: Annotated[
        str,
        typer.Option(metavar="URL", help="The URL of the cache; default ASCEND_OPS_REMOTE_CACHE."),
    ] = "",
    sign: Annotated[
        Path | None,
        typer.Option(metavar="KEYFILE", help="Sign the entries with this Ed25519 private key."),
    ] = None,
    again: Annotated[
        bool, typer.Option("--again", help="Upload entries even if they are present.")
    ] = False,
    json: JsonFlag = False,
) -> None:
    """Upload the ops in the user's cache to a remote cache, for other machines.

    Entries that were downloaded themselves are skipped. Exits with 1 if an entry cannot be
    uploaded.
    """
    url = envs.REMOTE_CACHE.get({envs.REMOTE_CACHE.name: to}) or envs.REMOTE_CACHE.get()
    if not url:
        raise typer.BadParameter(f"give --to URL, or set {envs.REMOTE_CACHE.name}")
    entries = _entries(ops or [])
    pusher = Pusher(url, None if sign is None else signatures.Signer.read(sign), again=again)
    results = []
    with _progress(entries) as on_bytes:
        for entry in entries:
            results.append(pusher.push(entry, on_bytes))
    _print(results, url, json)
    failures = [result for result in results if result.outcome == "failed"]
    for failure in failures:
        fail(f"{failure.entry.op}: {failure.reason}")
    if failures:
        raise typer.Exit(1)


def make_key(
    file: Annotated[Path, typer.Argument(metavar="KEYFILE", help="The file to write.")],
    json: JsonFlag = False,
) -> None:
    """Write a new Ed25519 key to KEYFILE, and its public key to KEYFILE.pub.

    Keep KEYFILE where `cache push --sign` runs. Set ASCEND_OPS_REMOTE_KEYS to the public key, or
    to the path of KEYFILE.pub, on the machines that read the remote cache.
    """
    public = signatures.shown(signatures.make_key(file))
    if json:
        print_json({"private": file, "public": signatures.public_file(file), "key": public})
    else:
        print_text("wrote", file, "and", signatures.public_file(file))
        print_text(f"public key: {public}")


def _entries(ops: list[str]) -> list[Entry]:
    layer = Layer("user", user_root(envs.process_environment()), shipped=False)
    entries = [
        entry
        for entry in maintenance.all_entries([layer])
        if isinstance(entry, Entry) and not entry.is_header and (not ops or entry.op in ops)
    ]
    missing = set(ops) - {entry.op for entry in entries}
    if missing or not entries:
        wanted = f"no {', '.join(sorted(missing))}" if missing else "nothing to push"
        raise fail(f"{wanted} in {layer.root}; build it with `ascend-ops build`")
    return entries


@contextlib.contextmanager
def _progress(entries: list[Entry]) -> Iterator[Callable[[int], None]]:
    """Show a progress bar on standard error, if it is a terminal."""
    if not sys.stderr.isatty():
        yield lambda _: None
        return
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn

    columns = (TextColumn("uploading"), BarColumn(), DownloadColumn())
    with Progress(*columns, console=errors()) as bar:
        task = bar.add_task("", total=sum(entry.manifest.payload_bytes for entry in entries))
        yield lambda size: bar.advance(task, size)


def _print(results: list[Pushed], url: str, json: bool) -> None:
    if json:
        print_json({"url": shown(url), "entries": [_described(result) for result in results]})
        return
    rows = [
        (each.entry.op, each.outcome, f"{each.bytes / 1024:.0f}", each.entry.path)
        for each in results
    ]
    print_table(f"Remote cache {shown(url)}", ("op", "outcome", "KiB", "path"), rows)


def _described(result: Pushed) -> dict[str, Any]:
    return {
        "op": result.entry.op,
        "outcome": result.outcome,
        "bytes": result.bytes,
        "reason": result.reason,
        "path": result.entry.path,
    }
