"""The declared matrix: every supported Python and torch, each built, installed and used.

``nox --list`` shows the sessions. Each one takes its wheels from your package index, and is skipped
if this machine lacks its Python. ``nox -t diagonal`` runs every Python and every torch once.
"""

from __future__ import annotations

from pathlib import Path

import nox

PYTHONS = ("3.10", "3.11", "3.12", "3.13")
TORCHES = ("2.10.0", "2.11.0", "2.12.0", "2.13.0")
_DIAGONAL = set(zip(PYTHONS, TORCHES, strict=True))

nox.options.default_venv_backend = "venv"
nox.options.error_on_missing_interpreters = False
nox.options.tags = ["diagonal"]


@nox.session
@nox.parametrize(
    ("python", "torch"),
    [
        nox.param(python, torch, tags=["diagonal"] if (python, torch) in _DIAGONAL else [])
        for python in PYTHONS
        for torch in TORCHES
    ],
)
def smoke(session: nox.Session, torch: str) -> None:
    """Install this project and the package of examples, build an op of each kind, and use it."""
    session.install(f"torch=={torch}", "numpy")
    session.install("--no-deps", f"torch_npu=={torch}")  # its headers; it runs only with CANN
    session.install(".", "./examples/external_ops")
    program = f"{session.invoked_from}/tests/smoke_program.py"
    use(session, program, torch)


@nox.session(python=PYTHONS, tags=["examples"])
def examples(session: nox.Session) -> None:
    """Install this project and the package of examples with one command, without torch."""
    session.install("--no-deps", ".", "./examples/external_ops")
    session.install("ninja", "packaging")
    program = "from example_ops.crc32c import crc32c; assert crc32c(b'123456789') == 0xE3069283"
    use(session, "-c", program)


def use(session: nox.Session, *arguments: str) -> None:
    """Run Python outside of the repository, with a cache of its own."""
    folder = Path(session.create_tmp()).resolve()
    session.chdir(folder)
    variables = {"ASCEND_OPS_CACHE_DIR": str(folder / "cache"), "PYTHONPATH": None}
    session.run("python", *arguments, env={"TORCH_DEVICE_BACKEND_AUTOLOAD": "0", **variables})
