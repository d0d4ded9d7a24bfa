"""``compile_kernel``: source text in Ascend C in, a callable on tensors out."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch

from op_builder import AscendCOpBuilder, envs
from op_builder.cache.layers import Layer, user_root
from op_builder.system import file_identity
from op_builder.system.private_folder import make_below, write_file

from .arguments import Arguments
from .queue import Launch, core_count
from .signature import Parameter, Signature, signature_of

_FOLDER_MODE, _FILE_MODE = 0o700, 0o600
_MOST_BLOCKS = 65535
_WORKSPACE = "workspace"
_compiled: dict[str, Kernel] = {}


class Kernel:
    """A kernel that is compiled; call it with tensors on an NPU and numbers.

    Attributes:
        name: The name of the kernel.
        parameters: Its parameters.
    """

    def __init__(
        self,
        name: str,
        signature: Signature,
        launcher: Any,
        dtypes: Mapping[str, torch.dtype] | None = None,
    ) -> None:
        self.name = name
        self.parameters = signature.parameters
        self._uses_cube = signature.uses_cube
        self._arguments = Arguments(name, signature.parameters, dtypes)
        self._launch = Launch(name, launcher)
        self._blocks: dict[int, int] = {}

    def __call__(
        self, *arguments: Any, blocks: int | None = None, workspace: int | None = None
    ) -> None:
        """Launch the kernel on the current stream, behind what torch_npu has queued.

        As with an op of torch, a tensor of another stream must not be freed before the kernel has
        run: call ``tensor.record_stream``.

        Args:
            arguments: One per parameter: for a pointer a contiguous tensor, whose dtype must be the
                one that it points to; for a number a number; for a structure a mapping or a
                dataclass with its members.
            blocks: The number of blocks; by default that of the device's vector cores, or of its
                cube cores for a kernel that runs on them.
            workspace: The bytes of memory to allocate for the parameter ``workspace``, which is
                then not among ``arguments``.

        Raises:
            TypeError: An argument has another type or dtype, or their number differs.
            ValueError: A tensor is not contiguous, requires a gradient, or is on another device
                than the first, or ``blocks`` is out of range.
            RuntimeError: The launch has failed, or an op before it.
        """
        if workspace is not None:
            arguments = self._with_workspace(arguments, workspace)
        device, packed = self._arguments.pack(arguments)
        if blocks is None:
            blocks = self._blocks.get(device)
            if blocks is None:
                blocks = self._blocks[device] = core_count(device, self._uses_cube)
        elif not 1 <= blocks <= _MOST_BLOCKS:
            raise ValueError(f"blocks must be 1 to {_MOST_BLOCKS}, got {blocks}")
        self._launch(device, blocks, packed)

    def _with_workspace(self, arguments: tuple[Any, ...], size: int) -> tuple[Any, ...]:
        names = [parameter.name for parameter in self.parameters]
        if _WORKSPACE not in names:
            raise TypeError(
                f"workspace must not be given: {self.name} has no parameter of this name"
            )
        if size < 0:
            raise ValueError(f"workspace must be a number of bytes, got {size}")
        first = next((value for value in arguments if isinstance(value, torch.Tensor)), None)
        if first is None:
            raise TypeError(f"{self.name} must be called with at least one tensor")
        memory = torch.empty(size, dtype=torch.uint8, device=first.device)
        position = names.index(_WORKSPACE)
        return (*arguments[:position], memory, *arguments[position:])


def compile_kernel(
    source: str,
    *,
    name: str,
    arguments: Mapping[str, torch.dtype] | None = None,
    constants: Mapping[str, int | float | str] | None = None,
    dynamic_ub: int = 0,
    npu_arch: str = "",
    include_paths: Sequence[str | Path] = (),
) -> Kernel:
    """Compile a kernel in Ascend C, or take it from the cache.

    The key of the cache is the content: source, constants, headers, compiler and CANN. On the
    emulated NPU the kernel runs on the emulated AI core.

    Args:
        source: The text of a file in Ascend C.
        name: The kernel in it to call, with template arguments if it is a template, for example
            ``"scale<half>"``.
        arguments: The dtypes of tensors whose type the source does not declare (``GM_ADDR``).
        constants: Macros that the source may use, for example tile sizes.
        dynamic_ub: The bytes of UB that a kernel for Ascend 950 allocates at its launch.
        npu_arch: The architecture, for example ``dav-2201``; by default the device's.
        include_paths: Absolute folders for ``#include``.

    Raises:
        ValueError: The source has no such kernel, or a parameter cannot be passed.
        BuildError: The source does not compile; the error has the compiler's messages.
            :meth:`op_builder.builder.OpBuilder.load` lists the other errors.

    Example:
        >>> from ascend_ops import compile_kernel
        >>> try:
        ...     compile_kernel("__global__ __aicore__ void scale(GM_ADDR x) {}", name="add")
        ... except ValueError as error:
        ...     print(error)
        name must be one of the kernels of the source, scale, got 'add'
    """
    flags = [f"-D{key}={value}" for key, value in sorted((constants or {}).items())]
    paths = [str(path) for path in include_paths]
    dtypes = sorted((key, str(dtype)) for key, dtype in (arguments or {}).items())
    identity = repr((source, name, dtypes, dynamic_ub, npu_arch, flags, paths))
    digest = file_identity.digest_bytes(identity.encode())[:32]
    if digest not in _compiled:
        signature = signature_of(source, name, constants)
        size = Arguments(name, signature.parameters, arguments).size
        symbol = re.sub(r"\W", "_", name)
        launcher = _launcher(name, symbol, signature.parameters, size, dynamic_ub)
        text = f"{source.rstrip()}\n{launcher}"
        builder = _builder(symbol, _written(text, symbol), flags, npu_arch, paths)
        function = getattr(builder().load(), f"launch_{symbol}")
        _compiled[digest] = Kernel(name, signature, function, arguments)
    return _compiled[digest]


def _launcher(
    name: str, symbol: str, parameters: Sequence[Parameter], size: int, dynamic_ub: int
) -> str:
    """Return the C function that launches the kernel, with its arguments in a structure."""
    members = " ".join(f"{parameter.c_type} {parameter.name};" for parameter in parameters)
    passed = ", ".join(f"given.{parameter.name}" for parameter in parameters)
    local = f"{dynamic_ub}U" if dynamic_ub else "nullptr"
    return (
        f'\n#line 1 "launcher of {symbol}"\n'
        f"namespace {{ struct {symbol}_arguments {{ {members} }}; }}\n"
        f"static_assert(sizeof({symbol}_arguments) == {size}, "
        f'"the structures must have the layout that their text shows");\n'
        f'extern "C" void launch_{symbol}(uint32_t blocks_, void* stream_, '
        f"const void* packed_) {{\n"
        f"    const auto& given = *static_cast<const {symbol}_arguments*>(packed_);\n"
        f"    {name}<<<blocks_, {local}, stream_>>>({passed});\n}}\n"
    )


def _written(text: str, name: str) -> Path:
    """Return the folder in the user's cache that holds the source."""
    root = user_root(envs.process_environment())
    Layer("user", root, shipped=False).prepare()
    folder = root / "kernels" / file_identity.digest_bytes(text.encode())[:32]
    make_below(root, folder, _FOLDER_MODE)
    file = folder / f"{name}.asc"
    if not file.exists():
        write_file(file, text.encode(), _FILE_MODE)
    return folder


def _builder(
    name: str, folder: Path, flags: list[str], arch: str, paths: list[str]
) -> type[AscendCOpBuilder]:
    class SourceBuilder(AscendCOpBuilder):
        NAME = name
        BUILD_VAR = f"DS_BUILD_{name.upper()}"
        BINDING = "ctypes"
        NPU_ARCH = arch

        def sources(self) -> list[str]:
            return [f"{name}.asc"]

        def source_root(self) -> Path:
            return folder

        def include_paths(self) -> Sequence[str | Path]:
            return paths

        def cxx_args(self) -> list[str]:
            return flags

    return SourceBuilder
