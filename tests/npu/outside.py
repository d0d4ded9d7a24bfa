"""The environment of a process that nothing has turned over to the emulated NPU."""

from __future__ import annotations

import os
import re

_OURS = re.compile(r"ASCEND_(HOME|TOOLKIT|OPP|EMULATOR)|LD_LIBRARY_PATH|PYTEST_")


def outside_environment(**variables: str) -> dict[str, str]:
    """This process's own without what says where a CANN is, and with ``variables``."""
    kept = {name: value for name, value in os.environ.items() if not _OURS.match(name)}
    return {**kept, **variables}
