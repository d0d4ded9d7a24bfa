"""``ascend-ops bench``: measure an op beside its peers and the machine's limit."""

from __future__ import annotations

import typer

app = typer.Typer(help="Measure ops beside their peers, in one run.", no_args_is_help=True)
