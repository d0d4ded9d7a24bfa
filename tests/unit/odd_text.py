"""Characters that are special to a shell, ninja, make or Python."""

from __future__ import annotations

ODD = "ab .,'\"$:#%=&;()[]{}<>|*?~`!\\\t-+é中\u00a0"
