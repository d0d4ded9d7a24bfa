"""NPUs and their driver: device nodes, PCI, npu-smi, versions, health, visible devices."""

from __future__ import annotations

from ..finding import Examination, Remedy, Severity
from ..survey import Survey

_NPU_SMI = "npu-smi info"
_UNHEALTHY = {
    "WARNING": Severity.WARNING,
    "UNKNOWN": Severity.WARNING,
    "ALARM": Severity.BROKEN,
    "CRITICAL": Severity.BROKEN,
}
_NO_DEVICE = "Programs that use an NPU fail on this machine; ops on the CPU work."


def examine(survey: Survey) -> Examination:
    """Check the NPUs and their driver."""
    found = Examination("devices")
    if survey.machine.is_emulated:
        found.fact("NPUs", "emulated, computed on the CPU")
        found.note(
            "emulated",
            "programs run on the emulated NPU",
            "Results are computed on the CPU; times are not those of an NPU.",
        )
        return found
    found.fact("NPUs", len(survey.nodes) or "none", *map(survey.machine.shown, survey.nodes))
    found.fact("NPU driver", survey.driver or "not found")
    _check_nodes(survey, found)
    _check_npu_smi(survey, found)
    _check_health(survey, found)
    _check_visible(survey, found)
    return found


def _check_nodes(survey: Survey, found: Examination) -> None:
    if survey.nodes:
        if survey.driver is None and not survey.is_container:
            found.warning(
                "driver_unknown",
                "there are NPUs, but no driver/version.info: the driver's folder was not found",
                "CANN loads libascend_hal.so from the driver's folder; its version cannot be "
                "compared with CANN's.",
                "cat /etc/ascend_install.info",
            )
        return
    if survey.is_container:
        return  # the family of containers reports it
    if survey.pci_devices:
        at = ", ".join(survey.pci_devices[:4])
        reason = f"driver {survey.driver} is not loaded" if survey.driver else "no driver is loaded"
        found.broken(
            "not_loaded",
            f"{len(survey.pci_devices)} NPU(s) are plugged in (PCI {at}), but {reason}: "
            "/dev/davinci0 does not exist",
            "Without the driver, no program can use the NPUs.",
            *_driver_remedies(survey),
        )
    elif survey.driver:
        found.broken(
            "driver_without_device",
            f"driver {survey.driver} is installed, but /dev/davinci0 does not exist",
            "The driver has found no NPU, or is not loaded; programs that use one fail.",
            *_driver_remedies(survey),
        )
    else:
        found.note(
            "none",
            "this machine has no NPU: no /dev/davinci*, no driver",
            f"{_NO_DEVICE} To run NPU programs here, use the emulated NPU.",
            "ascend-ops emulate -- python train.py",
        )


def _driver_remedies(survey: Survey) -> list[Remedy]:
    machine = survey.machine.architecture
    install = f"sudo bash Ascend-hdk-*-npu-driver_*_linux-{machine}.run --full --install-for-all"
    reboot = Remedy("sudo reboot", "the driver was installed or updated since the last start")
    return [
        *([reboot] if survey.driver else []),
        Remedy(
            install,
            "the driver of your NPU from https://www.hiascend.com/hardware/firmware-drivers",
        ),
    ]


def _check_npu_smi(survey: Survey, found: Examination) -> None:
    smi = survey.npu_smi
    if smi.program is None:
        found.fact("npu-smi", "not found on PATH")
        if survey.nodes and not survey.is_container:
            found.warning(
                "npu_smi_missing",
                "there are NPUs, but npu-smi is not on PATH",
                "Launchers such as DeepSpeed's count the NPUs with it.",
                Remedy(
                    'export PATH="/usr/local/sbin:/usr/local/bin:$PATH"', "it is installed there"
                ),
                Remedy("sudo find / -name npu-smi -type f", "to find it"),
            )
        return
    names = sorted({chip.name for chip in smi.chips})
    listed = f"{len(smi.chips)} x {', '.join(names)}" if smi.chips else "lists no NPU"
    found.fact("npu-smi", smi.version or "unknown version", smi.program, listed)
    if smi.ran.timed_out:
        found.broken(
            "npu_smi_hangs",
            f"npu-smi {smi.ran.failure}",
            "The driver does not answer; a program that opens an NPU would hang as well.",
            Remedy("sudo dmesg | grep -iE 'ascend|davinci|devdrv' | tail -50", "to see why"),
            Remedy("sudo reboot", "the driver cannot be restarted"),
        )
    elif smi.ran.failure:
        last = " ".join(smi.ran.output.split())[-300:] or "no output"
        found.add(
            "npu_smi_fails",
            Severity.BROKEN if survey.nodes else Severity.WARNING,
            f"`npu-smi info` {smi.ran.failure}: {last}",
            "The driver's management library cannot reach the NPUs: another container may hold "
            "them, permissions may be missing, or the driver is not loaded.",
            [Remedy(_NPU_SMI, "to try again; with sudo it tells permissions from faults")],
        )


def _check_health(survey: Survey, found: Examination) -> None:
    for chip in survey.npu_smi.chips:
        severity = _UNHEALTHY.get(chip.health.upper())
        if severity is not None:
            found.add(
                "unhealthy",
                severity,
                f"NPU {chip.number} ({chip.name}) has the health state {chip.health}",
                "Programs on it may fail or compute wrong results.",
                [Remedy(f"npu-smi info -t health -i {chip.number}", "for the error codes")],
            )


def _check_visible(survey: Survey, found: Examination) -> None:
    name = "ASCEND_RT_VISIBLE_DEVICES"
    text = survey.machine.environ.get(name)
    if text is None or not survey.nodes:
        return
    found.fact(name, text or "(empty)")
    numbers = [part.strip() for part in text.split(",")]
    wrong = [part for part in numbers if not part.isdecimal() or int(part) >= len(survey.nodes)]
    if wrong:
        found.broken(
            "visible",
            f"{name}={text!r} names {', '.join(map(repr, wrong))}, but this machine has the NPUs 0 "
            f"to {len(survey.nodes) - 1}",
            "CANN ignores the first wrong number and all that follow, so that programs find fewer "
            "NPUs, or none.",
            f"unset {name}",
        )
