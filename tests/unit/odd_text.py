"""Characters that a shell, ninja, make or Python could take for something else."""

from __future__ import annotations

ODD = "ab .,'\"$:#%=&;()[]{}<>|*?~`!\\\t-+é中\u00a0"
