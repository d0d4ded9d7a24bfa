"""``ascend-ops doctor``: what is wrong with an Ascend setup, why it matters, and what mends it.

In import order:

    finding                     findings, remedies, facts
    machine                     a machine as a value: root folder, environment, user, Python
    mounts                      the file system of a path
    loader                      what the dynamic loader would find
    packages                    installed packages, and the right pip line
    npu_smi                     what npu-smi prints
    other_pythons               the Pythons and the pip on PATH
    probe_script                runs in a child: imports torch, and lets frameworks decide
    imports                     starts that child and reads its answers
    survey                      what several checks need to know
    checks                      the checks, one family per module
    examine                     runs them all
    redaction                   removes secrets and home paths from text
    bundle                      one file to attach to an issue
"""

from __future__ import annotations

from .examine import Report, examine
from .finding import Examination, Fact, Finding, Remedy, Severity
from .machine import Machine, Python, User, this_machine

__all__ = [
    "Examination",
    "Fact",
    "Finding",
    "Machine",
    "Python",
    "Remedy",
    "Report",
    "Severity",
    "User",
    "examine",
    "this_machine",
]
