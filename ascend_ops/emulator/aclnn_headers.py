"""The headers ``aclnnop/aclnn_*.h`` of the emulated CANN."""

from __future__ import annotations

import functools
import re
from collections.abc import Iterable, Mapping
from pathlib import Path

from .declarations import Function, Parameter

#: Headers that programs include, each with the functions that CANN declares in it.
_TABLE = Path(__file__).with_suffix(".txt")

_HEADER = """// {file} of the emulated CANN, generated from the emulator's functions.
#pragma once

#include "aclnn/aclnn_base.h"

#ifdef __cplusplus
extern "C" {{
#endif

{declarations}
#ifdef __cplusplus
}}
#endif
"""
_REMARKS = {
    "input": "input",
    "output": "output",
    "in_out": "read and written",
    "unused": "ignored: it cannot change the result",
    "refused": "not emulated: must have its default",
}
_LAST_PARAMETERS = (
    "    uint64_t* workspaceSize,  // output: the bytes of workspace that the launch needs\n"
    "    aclOpExecutor** executor  // output\n"
)


@functools.cache
def documented_headers() -> Mapping[str, tuple[str, ...]]:
    """Return the names of CANN's headers, each with the functions that it declares.

    The functions are those of CANN's documentation and of torch_npu, whether emulated or not.

    Example:
        >>> from ascend_ops.emulator.aclnn_headers import documented_headers
        >>> documented_headers()["aclnn_add.h"]
        ('aclnnAdd', 'aclnnAdds', 'aclnnInplaceAdd', 'aclnnInplaceAdds')
    """
    lines = _TABLE.read_text(encoding="utf-8").splitlines()
    return {header: tuple(names) for header, *names in map(str.split, lines)}


def header_of(name: str) -> str:
    """Return the header in which CANN declares a function, by CANN's rule if it is unknown.

    Example:
        >>> from ascend_ops.emulator.aclnn_headers import header_of
        >>> header_of("aclnnInplaceAdds"), header_of("aclnnSomeNewOpV2")
        ('aclnn_add.h', 'aclnn_some_new_op_v2.h')
    """
    known = _headers_by_function().get(name)
    if known is not None:
        return known
    words = re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "_", name)
    return f"{words.lower()}.h"


@functools.cache
def _headers_by_function() -> dict[str, str]:
    return {name: header for header, names in documented_headers().items() for name in names}


def write_headers(folder: Path, functions: Iterable[Function]) -> None:
    """Write a header for each of CANN's, and for each emulated function.

    A header declares the emulated functions; a call of another function of the header does not
    compile, with a message that names it.

    Args:
        folder: The folder ``aclnnop``, which is created.
        functions: The emulated functions.
    """
    emulated = {function.name: function for function in functions}
    contents = {header: list(names) for header, names in documented_headers().items()}
    for name in emulated:
        names = contents.setdefault(header_of(name), [])
        if name not in names:
            names.append(name)
    folder.mkdir(parents=True)
    for header, names in contents.items():
        declarations = "\n".join(
            _declaration(emulated[name]) if name in emulated else f"ACLNN_NOT_EMULATED({name});\n"
            for name in sorted(names)
        )
        text = _HEADER.format(file=f"aclnnop/{header}", declarations=declarations)
        (folder / header).write_text(text, encoding="utf-8")
    (folder / "level2").symlink_to(".", target_is_directory=True)  # where older versions have them


def _declaration(function: Function) -> str:
    """Return the declarations of both phases."""
    origin = f"aten::{function.schema}" if function.schema else "a body of its own"
    parameters = "".join(map(_parameter, function.parameters))
    return (
        f"// Computed by {origin}.\n"
        f"aclnnStatus {function.name}GetWorkspaceSize(\n{parameters}{_LAST_PARAMETERS});\n"
        f"aclnnStatus {function.name}(void* workspace, uint64_t workspaceSize,\n"
        f"    aclOpExecutor* executor, aclrtStream stream);\n"
    )


def _parameter(parameter: Parameter) -> str:
    c_type = parameter.c_type
    if parameter.is_written:
        c_type = c_type.removeprefix("const ")
    is_nullable = c_type.endswith("*") and parameter.may_be_null and parameter.role != "refused"
    remark = _REMARKS[parameter.role] + (", may be null" if is_nullable else "")
    return f"    {c_type} {parameter.name},  // {remark}\n"
