"""``python -m benchmarks adam ...``: the same as ``ascend-ops bench adam ...``, in a checkout."""

from __future__ import annotations

import sys

from ascend_ops.cli.main import run

if __name__ == "__main__":
    sys.argv[1:1] = ["bench"]
    run()
