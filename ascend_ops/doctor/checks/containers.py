"""Containers: devices and folders of the host that were not mounted."""

from __future__ import annotations

from ..finding import Examination, Remedy, Severity
from ..survey import Survey
from .access import MANAGERS

#: What an NPU program in a container needs of the host, besides the devices.
_REQUIRED = ("/usr/local/Ascend/driver/lib64",)
_USEFUL = {
    "/usr/local/dcmi": "npu-smi and launchers query the NPUs through it",
    "/usr/local/bin/npu-smi": "launchers count the NPUs with it",
    "/usr/local/Ascend/driver/version.info": "CANN compares the driver's version",
    "/etc/ascend_install.info": "CANN finds the driver through it",
}


def examine(survey: Survey) -> Examination:
    """Check that a container has what an NPU program needs of its host."""
    found = Examination("containers")
    if not survey.is_container:
        return found
    found.fact("container", "yes")
    if survey.machine.is_emulated:
        return found
    machine = survey.machine
    wants_npu = survey.torch_npu is not None or survey.cann is not None
    if not survey.nodes:
        if wants_npu:
            found.warning(
                "no_devices",
                "this container has torch_npu or CANN, but no /dev/davinci*: it was started "
                "without NPUs",
                "Building ops works; programs that use an NPU fail. That is right for a container "
                "that builds an image.",
                Remedy(run_line(survey), "to start it with NPU 0"),
            )
        return found
    required = MANAGERS if survey.loads_driver else (*MANAGERS, *_REQUIRED)
    missing = [name for name in required if not machine.exists(name)]
    useful = [name for name in _USEFUL if not machine.exists(name)]
    if missing or useful:
        reasons = "".join(f" {name}: {_USEFUL[name]}." for name in useful)
        found.add(
            "missing_mounts",
            Severity.BROKEN if missing else Severity.WARNING,
            f"this container was started without {', '.join([*missing, *useful])} of its host",
            ("AscendCL cannot start without the devices and the driver's libraries." if missing
             else "Programs run, but tools are missing.") + reasons,
            [Remedy(run_line(survey), "to start it with all of them")],
        )  # fmt: skip
    return found


def run_line(survey: Survey) -> str:
    """Return the command that starts a container with the host's NPUs."""
    nodes = [survey.machine.shown(node) for node in survey.nodes] or ["/dev/davinci0"]
    devices = " ".join(f"--device {node}" for node in (*nodes, *MANAGERS))
    mounts = " ".join(f"-v {name}:{name}:ro" for name in (*_REQUIRED, *_USEFUL))
    return f"docker run -it {devices} {mounts} IMAGE"
