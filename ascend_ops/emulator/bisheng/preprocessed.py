"""A source after the preprocessor, in which kernels are looked for: macros make some of them."""

from __future__ import annotations

import re
from pathlib import Path

#: Keeps the word, which the emulated headers define as nothing.
KEEP_KERNELS = "-D__global__=__global__"
_LINE_MARKER = re.compile(r'^# \d+ "(?P<file>(?:\\.|[^"\\])*)"(?P<flags>(?: \d)*)$')
_SYSTEM_HEADER = "3"


def own_text(preprocessed: str, cann: Path) -> str:
    """Return the lines of the project's own files.

    Args:
        preprocessed: The output of the preprocessor.
        cann: The folder of the emulated CANN, whose headers define no kernels.

    Example:
        >>> from pathlib import Path
        >>> from ascend_ops.emulator.bisheng.preprocessed import own_text
        >>> own_text('# 1 "/usr/include/x.h" 1 3\\nint x;\\n# 2 "k.cpp" 2\\nint k;', Path("/cann"))
        'int k;'
    """
    kept: list[str] = []
    is_own = True
    for line in preprocessed.splitlines():
        marker = _LINE_MARKER.match(line)
        if marker is None:
            if is_own:
                kept.append(line)
        else:
            is_cann = marker["file"].startswith(f"{cann}/")
            is_own = not is_cann and _SYSTEM_HEADER not in marker["flags"].split()
    return "\n".join(kept)
