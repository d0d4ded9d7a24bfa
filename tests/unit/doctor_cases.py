"""The table of fake machines and what the doctor must find on each."""

from __future__ import annotations

import doctor_installation_cases
import doctor_system_cases
from doctor_case import CASES, Case, by_name, root_of

__all__ = [
    "CASES",
    "Case",
    "by_name",
    "doctor_installation_cases",
    "doctor_system_cases",
    "root_of",
]
