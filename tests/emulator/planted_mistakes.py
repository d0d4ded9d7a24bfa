"""Mistakes planted in this project's kernels, one per rule, and what the emulated core reports."""

from __future__ import annotations

from planted_operand_mistakes import ALIGNMENT, MEMORY, OTHERS, RANGES
from planted_order_mistakes import CACHES, CORES, EVENTS, HAZARDS, QUEUES

MISTAKES = (*QUEUES, *HAZARDS, *CORES, *CACHES, *MEMORY, *ALIGNMENT, *RANGES, *EVENTS, *OTHERS)
