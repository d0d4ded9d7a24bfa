"""Names that a kernel uses and that the emulated headers lack, from the compiler's messages."""

from __future__ import annotations

import re

_HOW_TO = "docs/how-to/add-an-ascend-c-function.md"
_QUOTES = {0x2018: "'", 0x2019: "'"}  # GCC's, in a UTF-8 locale
_PATTERNS = (
    re.compile(r"error: '(?:AscendC::)?(\w+)' is not a member of 'AscendC'"),
    re.compile(r"error: '(\w+)' in namespace 'AscendC' does not name"),
    re.compile(r"error: 'class AscendC::(\w+)<.*' has no member named '(\w+)'"),
    re.compile(r"error: '(\w+)' was not declared in this scope"),
    re.compile(r"error: there are no arguments to '(\w+)' that depend on a template"),
    re.compile(r"error: no matching function for call to '(?:AscendC::)?(\w+)[<(]"),
)
_ARCH_WITH_REGISTERS = 3510
_REGISTERS = re.compile(
    r"error: (?:there are no arguments to )?'(?:AscendC::)?"
    r"(MicroAPI|Reg|RegTensor|MaskReg|__VEC_SCOPE__|__simd_\w+__|asc_vf_call)\b"
)
_SIMT = re.compile(r"error: '(__simt_\w+__|(?:AscendC::)?Simt|asc_simt\w*|threadIdx|blockDim)'")
_SIMT_HEADER = re.compile(r"error: (simt_api/[\w/.-]+\.h): No such file")
_HEADER = re.compile(
    r"error: ((?:lib|adv_api|basic_api|kernel_tiling|tiling|utils|impl|interface)/[\w/.-]+\.h|"
    r"kernel_\w+\.h): No such file"
)


def missing_names(messages: str) -> list[str]:
    """Return the names of Ascend C that the compiler did not find, in their order.

    Example:
        >>> from ascend_ops.emulator.bisheng.missing import missing_names
        >>> missing_names("k.asc:3:5: error: 'Scatter' is not a member of 'AscendC'")
        ['Scatter']
    """
    messages = messages.translate(_QUOTES)
    found: dict[int, str] = {}
    for pattern in (*_PATTERNS, _HEADER):
        for match in pattern.finditer(messages):
            found[match.start()] = ".".join(match.groups())
    return list(dict.fromkeys(found[place] for place in sorted(found)))


def advice(messages: str, arch: int) -> str:
    """Return what to print below the compiler's messages, or "" if no name is missing.

    Args:
        messages: The messages of the host compiler.
        arch: ``__NPU_ARCH__`` of the compilation.
    """
    messages = messages.translate(_QUOTES)
    begin = "bisheng (emulated): "
    simt = _SIMT.search(messages) or _SIMT_HEADER.search(messages)
    if simt:
        return f"{begin}{simt[1]} is of the SIMT API of Ascend 950, which is not emulated\n"
    registers = _REGISTERS.search(messages)
    if registers and arch != _ARCH_WITH_REGISTERS:
        return (
            f"{begin}{registers[1]} is of the register API, which Ascend 950 alone has: compile "
            f"with --npu-arch=dav-{_ARCH_WITH_REGISTERS}, got dav-{arch}\n"
        )
    names = missing_names(messages)
    if not names:
        return ""
    return (
        f"{begin}the emulated AI core may lack {', '.join(names[:5])}. "
        f"To add a function of Ascend C, see {_HOW_TO}; the headers are in "
        "csrc/emulator/include/ascendc\n"
    )
