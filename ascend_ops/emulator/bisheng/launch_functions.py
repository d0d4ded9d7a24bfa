"""``aclrtlaunch_<kernel>``: the function and the header of each kernel of ``ascendc_library``."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from op_builder.system import file_identity

from .kernels import kernel_definitions

# By how much a token changes the depth of brackets. `>>>` is one token, for launches.
_DEPTHS = {**dict.fromkeys("([{<", 1), **dict.fromkeys(")]}>", -1), ">>>": -3}
_POINTERS = frozenset(["*", "[", "GM_ADDR"])
# A parameter whose declaration ends in one of these has no name.
_TYPE_WORDS = frozenset(
    ["bool", "char", "double", "float", "int", "long", "short", "signed", "unsigned"]
)
_HEADER = """// How a host program launches the kernel {kernel}; written by the emulated bisheng.
#pragma once
#include <stdint.h>

#include "acl/acl_base.h"

#ifndef ACLRT_LAUNCH_KERNEL
#define ACLRT_LAUNCH_KERNEL(kernel) aclrtlaunch_##kernel
#endif

#ifdef __cplusplus
extern "C"
#endif
uint32_t aclrtlaunch_{kernel}({parameters})
    __asm__("{symbol}");
"""


@dataclass(frozen=True)
class LaunchFunction:
    """A function that launches a kernel.

    Attributes:
        kernel: The qualified name of the kernel.
        parameters: Type and name of each parameter. Pointers are ``void*``, as in CANN's headers.
    """

    kernel: str
    parameters: tuple[tuple[str, str], ...]

    @property
    def name(self) -> str:
        """The name of the kernel without its namespaces."""
        return self.kernel.rpartition("::")[2]

    @property
    def symbol(self) -> str:
        """The symbol that callers use. Its end depends on the parameters' types.

        Ninja looks at headers before it compiles kernels, so it does not compile a caller again in
        the build that changes a header. The old caller then does not link; the linker prints the
        symbol.
        """
        kinds = ", ".join(kind for kind, _ in self.parameters)
        digest = file_identity.digest_bytes(kinds.encode())[:8]
        return f"aclrtlaunch_{self.name}__parameters_changed_build_again__{digest}"

    def header(self) -> str:
        """Return the text of ``aclrtlaunch_<kernel>.h``."""
        parameters = self._parameters("aclrtStream")
        return _HEADER.format(kernel=self.name, parameters=parameters, symbol=self.symbol)

    def definition(self, kind: str, workspace: str | None = None) -> str:
        """Return the definition, to be compiled behind the kernel.

        Args:
            kind: The enumerator of ``aicore::KernelType``.
            workspace: The parameter of which the kernel gets what is behind the system's part.
        """
        arguments = [
            f"::aicore::behind_system_workspace({name})" if name == workspace else name
            for _, name in self.parameters
        ]
        caller = f"[](auto... values) {{ {self.name}(values...); }}"
        kernel = f'{caller}, &{self.name}, "{self.name}", ::aicore::KernelType::{kind}'
        call = ", ".join([kernel, "blockDim", "stream", *arguments])
        namespace = self.kernel.rpartition("::")[0]
        name, parameters = f"aclrtlaunch_{self.name}", self._parameters("void*")
        exported = 'extern "C" __attribute__((visibility("default")))'
        alias = f'__attribute__((alias("{name}")))'
        function = (
            f"{exported} std::uint32_t {name}({parameters}) "
            f"{{ return ::aicore::launch_function({call}); }} "
            f"{exported} {alias} std::uint32_t {name}__of_header({parameters}) "
            f'__asm__("{self.symbol}");'
        )
        return f"namespace {namespace} {{ {function} }}\n" if namespace else f"{function}\n"

    def _parameters(self, stream: str) -> str:
        own = [f"{kind} {name}" for kind, name in self.parameters]
        return ", ".join(["uint32_t blockDim", f"{stream} stream", *own])


def launch_functions(preprocessed: str) -> list[LaunchFunction]:
    """Return the functions for all kernels that a preprocessed source defines, except templates.

    Example:
        >>> from ascend_ops.emulator.bisheng.launch_functions import launch_functions
        >>> launch_functions("__global__ void scale(float* x, float factor) { }")[0].parameters
        (('void*', 'x'), ('float', 'factor'))
    """
    found = dict(kernel_definitions(preprocessed))
    return [LaunchFunction(name, _parameters(name, text)) for name, text in found.items()]


def write_headers(functions: Sequence[LaunchFunction], folder: Path) -> None:
    """Write the header of each function; one that has not changed keeps its time."""
    folder.mkdir(parents=True, exist_ok=True)
    for function in functions:
        header = folder / f"aclrtlaunch_{function.name}.h"
        text = function.header()
        if not header.is_file() or header.read_text(encoding="utf-8") != text:
            header.write_text(text, encoding="utf-8")


def workspace_of(function: LaunchFunction, macros: Sequence[str]) -> str | None:
    """Return the name of the workspace if ``HAVE_WORKSPACE`` is among the macros.

    It is the last parameter, or with ``HAVE_TILING`` the one before the last.

    Raises:
        ValueError: That parameter does not exist or is not a pointer.
    """
    if "HAVE_WORKSPACE" not in macros:
        return None
    place = 2 if "HAVE_TILING" in macros else 1
    behind = " before the tiling" if place == 2 else ""
    parameter = function.parameters[-place] if len(function.parameters) >= place else ("", "")
    if parameter[0] != "void*":
        raise ValueError(
            f"with HAVE_WORKSPACE, the last parameter{behind} of kernel {function.name} must be "
            f"the pointer to its workspace, got {' '.join(parameter).strip() or 'none'}"
        )
    return parameter[1]


def _parameters(kernel: str, declaration: str) -> tuple[tuple[str, str], ...]:
    name = kernel.rpartition("::")[2]
    words = declaration.split(" ")
    begin = next(
        index
        for index in range(words.index("__global__"), len(words))
        if words[index : index + 2] == [name, "("]
    )
    parts: list[list[str]] = [[]]
    depth = 1
    for word in words[begin + 2 :]:
        depth += _DEPTHS.get(word, 0)
        if depth == 0:
            break
        if word == "," and depth == 1:
            parts.append([])
        else:
            parts[-1].append(word)
    if parts in ([[]], [["void"]]):
        return ()
    return tuple(_parameter(part, index) for index, part in enumerate(parts))


def _parameter(words: list[str], index: int) -> tuple[str, str]:
    """Return type and name. An array is a pointer, and a default value does not matter."""
    if "=" in words:
        words = words[: words.index("=")]
    is_pointer = not _POINTERS.isdisjoint(words)
    if "[" in words:
        words = words[: words.index("[")]
    words = [word for word in words if word != "const"]
    has_name = (
        len(words) > 1
        and re.fullmatch(r"(?!__restrict)[A-Za-z_]\w*", words[-1]) is not None
        and words[-1] not in _TYPE_WORDS
        and words[-2] != "::"
    )
    name = words.pop() if has_name else f"argument{index}"
    return ("void*" if is_pointer else " ".join(words), name)
