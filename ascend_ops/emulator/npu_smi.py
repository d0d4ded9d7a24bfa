"""``npu-smi`` of the emulated CANN: what programs look up of the machine's NPUs.

The devices are those of the emulated libascendcl.so, which the environment's options describe. The
fields are those that frameworks and launchers parse; quantities that an emulated device does not
have, such as its temperature, are ``NA`` or 0.
"""

from __future__ import annotations

import argparse
import ctypes
import re
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

_HBM = 1  # ACL_HBM_MEM
_MEBIBYTE = 1 << 20
_SUMMARY_WIDTHS = (27, 15, 52)
_EMULATED = "EMULATED"


@dataclass(frozen=True)
class Devices:
    """The emulated devices, which are all alike."""

    count: int
    soc: str
    memory_mb: int
    driver: str

    @property
    def name(self) -> str:
        """The SoC's name as npu-smi prints it: 910B2, 910_9382."""
        return self.soc.removeprefix("Ascend")


def read_devices(library: Path) -> Devices:
    """Return the devices of an emulated libascendcl.so."""
    acl = ctypes.CDLL(str(library))
    acl.aclrtGetSocName.restype = ctypes.c_char_p
    count, version = ctypes.c_uint32(), ctypes.create_string_buffer(128)
    free, total = ctypes.c_size_t(), ctypes.c_size_t()
    _check(acl.aclInit(None))
    _check(acl.aclrtGetDeviceCount(ctypes.byref(count)))
    _check(acl.aclsysGetVersionStr(b"driver", version))
    _check(acl.aclrtSetDevice(0))
    _check(acl.aclrtGetMemInfo(_HBM, ctypes.byref(free), ctypes.byref(total)))
    soc = acl.aclrtGetSocName().decode()
    acl.aclFinalize()
    return Devices(count.value, soc, total.value // _MEBIBYTE, version.value.decode())


def _check(code: int) -> None:
    if code != 0:
        raise OSError(f"the emulated AscendCL returned {code}")


def report(devices: Devices, arguments: Sequence[str]) -> str:
    """Return what ``npu-smi <arguments>`` prints.

    Raises:
        ValueError: The emulated npu-smi does not have this query.
    """
    parser = argparse.ArgumentParser("npu-smi", exit_on_error=False, add_help=False)
    parser.add_argument("command", choices=["info"])
    parser.add_argument("-l", dest="list", action="store_true")
    parser.add_argument("-m", dest="mapping", action="store_true")
    parser.add_argument("-t", dest="kind", choices=["board", "memory", "usages", "health"])
    parser.add_argument("-i", dest="card", type=int)
    parser.add_argument("-c", dest="chip", type=int)
    try:
        chosen, unknown = parser.parse_known_args(arguments)
    except argparse.ArgumentError as error:
        raise ValueError(str(error)) from error
    if unknown:
        raise ValueError(f"unknown arguments {' '.join(unknown)}")
    if chosen.list:
        return _listing(devices)
    if chosen.mapping:
        return _mapping(devices)
    if chosen.kind is None:
        return _summary(devices)
    if chosen.card is None or not 0 <= chosen.card < devices.count:
        raise ValueError(f"-i must be a device below {devices.count}, got {chosen.card}")
    if chosen.chip not in (None, 0):
        raise ValueError(f"-c must be 0, the only chip of a card, got {chosen.chip}")
    return _fields(_QUERIES[chosen.kind](devices, chosen.card, chosen.chip))


def _fields(rows: Sequence[tuple[str, object]]) -> str:
    return "".join(f"\t{name:<30} : {value}\n" for name, value in rows)


def _listing(devices: Devices) -> str:
    cards = [
        _fields([("NPU ID", card), ("Product Name", _EMULATED), ("Chip Count", 1)])
        for card in range(devices.count)
    ]
    return "\n".join([_fields([("Total Count", devices.count)]), *cards])


def _mapping(devices: Devices) -> str:
    heading = ("NPU ID", "Chip ID", "Chip Logic ID", "Chip Name")
    rows = [(card, 0, card, f"Ascend {devices.name}") for card in range(devices.count)]
    return "".join(
        "\t" + "".join(f"{cell!s:<31}" for cell in row).rstrip() + "\n" for row in [heading, *rows]
    )


def _board(devices: Devices, card: int, chip: int | None) -> list[tuple[str, object]]:
    """Return the fields of a card, or those of its chip, whose names depend on the SoC.

    The SoC's name is Chip Type and Chip Name on A2, and Chip Name, "_" and NPU Name on A3.
    """
    if chip is None:
        return [
            ("NPU ID", card),
            ("Product Name", _EMULATED),
            ("Software Version", devices.driver),
            ("Compatibility", "OK"),
            ("Chip Count", 1),
        ]
    chip_name, _, npu_name = devices.soc.partition("_")
    if npu_name:
        return [
            ("NPU ID", card),
            ("NPU Name", npu_name),
            ("Chip ID", chip),
            ("Chip Name", chip_name),
            ("Product Name", _EMULATED),
        ]
    return [
        ("NPU ID", card),
        ("Chip ID", chip),
        ("Chip Type", "Ascend"),
        ("Chip Name", devices.name),
        ("Product Name", _EMULATED),
    ]


def _memory(devices: Devices, card: int, _chip: int | None) -> list[tuple[str, object]]:
    return [("NPU ID", card), ("Chip Count", 1), ("HBM Capacity(MB)", devices.memory_mb)]


def _usages(devices: Devices, card: int, chip: int | None) -> list[tuple[str, object]]:
    rates = [(f"{part} Usage Rate(%)", 0) for part in ("HBM", "Aicore")]
    return [*_memory(devices, card, chip), *rates]


def _health(_devices: Devices, card: int, _chip: int | None) -> list[tuple[str, object]]:
    return [("NPU ID", card), ("Health Status", "OK")]


_QUERIES = {"board": _board, "memory": _memory, "usages": _usages, "health": _health}


def _summary(devices: Devices) -> str:
    """Return the table of all devices, labelled as emulated."""
    rule = "+" + "+".join("-" * width for width in _SUMMARY_WIDTHS) + "+\n"
    double = rule.replace("-", "=")
    title = f"npu-smi {devices.driver} {_EMULATED}, computed on the CPU"
    width = len(rule) - 4
    text = f"+{'-' * (width + 1)}+\n| {title:<{width}}|\n{rule}"
    text += _row("NPU   Name", "Health", "Power(W)    Temp(C)           Hugepages-Usage(page)")
    text += _row("Chip", "Bus-Id", "AICore(%)   Memory-Usage(MB)  HBM-Usage(MB)") + double
    for card in range(devices.count):
        usage = f"0 / {devices.memory_mb}"
        text += _row(f"{card:<5} {devices.name}", "OK", f"{'NA':<11} {'NA':<17} 0    / 0")
        text += _row("0", "NA", f"{0:<11} {'0    / 0':<17} {usage}") + double
    text += (
        _row("NPU     Chip", "Process id", "Process name             Process memory(MB)") + double
    )
    for card in range(devices.count):
        line = f"No running processes found in NPU {card}"
        text += f"| {line:<{width}}|\n{double}"
    return text


def _row(*cells: str) -> str:
    padded = [f" {cell:<{width - 1}}" for cell, width in zip(cells, _SUMMARY_WIDTHS, strict=True)]
    return "|" + "|".join(padded) + "|\n"


def main(library: str, arguments: Sequence[str]) -> int:
    """Print what ``npu-smi <arguments>`` prints, and return its exit status."""
    if list(arguments) in (["-v"], ["--version"]):
        print(f"npu-smi version: {read_devices(Path(library)).driver} {_EMULATED}")  # noqa: T201
        return 0
    try:
        text = report(read_devices(Path(library)), arguments)
    except (ValueError, OSError) as error:
        message = re.sub(r"\s+", " ", str(error))
        print(f"npu-smi of the emulated NPU: {message}", file=sys.stderr)  # noqa: T201
        return 1
    sys.stdout.write(text)
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1], sys.argv[2:]))
