"""Whether this user may open the NPUs: owner, group and mode of their device nodes."""

from __future__ import annotations

import os
import stat
from pathlib import Path

from ..finding import Examination, Remedy
from ..survey import Survey

#: The devices that every program on an NPU opens, besides those of the NPUs.
MANAGERS = ("/dev/davinci_manager", "/dev/devmm_svm", "/dev/hisi_hdc")


def examine(survey: Survey) -> Examination:
    """Check the permissions of the device nodes."""
    found = Examination("access")
    machine = survey.machine
    nodes = [*survey.nodes, *(machine.path(name) for name in MANAGERS)] if survey.nodes else []
    denied: list[tuple[Path, os.stat_result]] = []
    for node in nodes:
        try:
            status = node.stat()
        except OSError:
            continue  # missing ones belong to other families
        if not machine.user.may_use(status):
            denied.append((node, status))
    if not denied:
        return found
    groups = sorted({status.st_gid for _, status in denied})
    names = ", ".join(_group_name(survey, group) for group in groups)
    shown = ", ".join(
        f"{machine.shown(node)} (mode {stat.S_IMODE(status.st_mode):o}, user {status.st_uid}, "
        f"group {_group_name(survey, status.st_gid)})"
        for node, status in denied[:3]
    )
    more = f" and {len(denied) - 3} more" if len(denied) > 3 else ""
    found.broken(
        "denied",
        f"user {machine.user.uid} may not read and write {shown}{more}; the user is not in the "
        f"group {names}",
        "AscendCL cannot open the NPUs: aclrtSetDevice fails, and programs find no NPU.",
        *_remedies(survey, groups, denied),
    )
    return found


def _remedies(
    survey: Survey, groups: list[int], denied: list[tuple[Path, os.stat_result]]
) -> list[Remedy]:
    by_group = all(status.st_mode & stat.S_IRGRP for _, status in denied)
    if survey.is_container:
        options = " ".join(f"--group-add {group}" for group in groups)
        return [Remedy(f"docker run {options} ...", "start the container with the group")]
    if not by_group:
        group = _group_name(survey, groups[0])
        nodes = " ".join(survey.machine.shown(node) for node, _ in denied)
        return [Remedy(f"sudo chgrp {group} {nodes} && sudo chmod g+rw {nodes}")]
    names = ",".join(_group_name(survey, group) for group in groups)
    return [Remedy(f'sudo usermod --append --groups {names} "$(id -un)"', "then log in again")]


def _group_name(survey: Survey, gid: int) -> str:
    for line in survey.machine.read("/etc/group").splitlines():
        fields = line.split(":")
        if len(fields) >= 3 and fields[2] == str(gid):
            return fields[0]
    return str(gid)
