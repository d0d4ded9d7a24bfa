"""Time limits of the tests: far beyond what anything takes on a busy machine.

No test passes or fails by how fast it is. Only a hang reaches one of these limits, and the limits
of nested runs are graded so that the innermost one, which knows most, reports it.
"""

from __future__ import annotations

#: A program that a test starts, or a test with the marker ``npu``. The slowest takes a minute.
HANG_SECONDS = 900.0
#: A program that runs a part of the tests itself.
SUITE_HANG_SECONDS = 3000.0
