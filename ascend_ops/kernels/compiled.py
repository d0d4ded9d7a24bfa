"""``compile_kernel``: source text in Ascend C in, a callable on tensors out."""

from __future__ import annotations

import ctypes
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch

from op_builder import AscendCOpBuilder, envs
from op_builder.cache.layers import Layer, user_root
from op_builder.system import file_identity
from op_builder.system.private_folder import make_below, write_file

from ..dispatch.checks import check_same_device, name_of
from .signature import Parameter, parameters_of

_VECTOR_CORES = 1  # aclDeviceInfo: ACL_DEVICE_INFO_VECTOR_CORE_NUM
_FOLDER_MODE, _FILE_MODE = 0o700, 0o600
_compiled: dict[str, Kernel] = {}


class Kernel:
    """A kernel that is compiled; call it with tensors on an NPU and numbers.

    Attributes:
        name: The name of the kernel.
        parameters: Its parameters.
    """

    def __init__(self, name: str, parameters: Sequence[Parameter], launcher: Any) -> None:
        self.name = name
        self.parameters = tuple(parameters)
        self._launcher = launcher
        self._launcher.restype = None

    def __call__(self, *arguments: torch.Tensor | float, blocks: int | None = None) -> None:
        """Launch the kernel on the current stream, behind what torch_npu has queued.

        Args:
            arguments: One per parameter: for a pointer a contiguous tensor, whose dtype must be the
                one that it points to; for a number a number.
            blocks: The number of blocks; that of the device's vector cores by default.

        Raises:
            TypeError: An argument has another type or dtype, or their number differs.
            ValueError: A tensor is not contiguous, or on another device than the first, or
                ``blocks`` is not positive.
        """
        if len(arguments) != len(self.parameters):
            names = ", ".join(parameter.name for parameter in self.parameters)
            raise TypeError(
                f"{self.name} must be called with {len(self.parameters)} arguments ({names}), got "
                f"{len(arguments)}"
            )
        tensors = [value for value in arguments if isinstance(value, torch.Tensor)]
        if not tensors:
            raise TypeError(f"{self.name} must be called with at least one tensor")
        passed = [
            _passed(parameter, value, tensors[0])
            for parameter, value in zip(self.parameters, arguments, strict=True)
        ]
        device = tensors[0].device
        count = _vector_cores(device) if blocks is None else blocks
        if count < 1:
            raise ValueError(f"blocks must be positive, got {blocks}")
        stream = torch.npu.current_stream(device)  # type: ignore[attr-defined]
        # npu_stream waits until torch_npu's queue has handed its ops to the stream.
        self._launcher(ctypes.c_uint32(count), ctypes.c_void_p(stream.npu_stream), *passed)
        for tensor in tensors:
            tensor.record_stream(stream)


def compile_kernel(
    source: str,
    *,
    name: str,
    constants: Mapping[str, int | float | str] | None = None,
    npu_arch: str = "",
    include_paths: Sequence[str | Path] = (),
) -> Kernel:
    """Compile a kernel in Ascend C, or take it from the cache.

    The key of the cache is the content: source, constants, headers, compiler and CANN. On the
    emulated NPU the kernel runs on the emulated AI core.

    Args:
        source: The text of a file in Ascend C.
        name: The kernel in it to call.
        constants: Macros that the source may use, for example tile sizes.
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
    parameters = parameters_of(source, name)
    text = f"{source.rstrip()}\n{_launcher(name, parameters)}"
    flags = [f"-D{key}={value}" for key, value in sorted((constants or {}).items())]
    paths = [str(path) for path in include_paths]
    identity = "\0".join([text, npu_arch, *flags, *paths])
    digest = file_identity.digest_bytes(identity.encode())[:32]
    if digest not in _compiled:
        builder = _builder(name, _written(text, name, digest), flags, npu_arch, paths)
        library = builder().load()
        _compiled[digest] = Kernel(name, parameters, getattr(library, f"launch_{name}"))
    return _compiled[digest]


def _launcher(name: str, parameters: Sequence[Parameter]) -> str:
    """Return the C function that launches the kernel."""
    declared = "".join(f", {parameter.c_type} {parameter.name}" for parameter in parameters)
    passed = ", ".join(parameter.name for parameter in parameters)
    return (
        f'\n#line 1 "launcher of {name}"\n'
        f'extern "C" void launch_{name}(uint32_t blocks_, void* stream_{declared}) {{\n'
        f"    {name}<<<blocks_, nullptr, stream_>>>({passed});\n}}\n"
    )


def _written(text: str, name: str, digest: str) -> Path:
    """Return the folder in the user's cache that holds the source."""
    root = user_root(envs.process_environment())
    Layer("user", root, shipped=False).prepare()
    folder = root / "kernels" / digest
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


def _passed(parameter: Parameter, value: torch.Tensor | float, first: torch.Tensor) -> Any:
    """Return what ctypes passes for an argument, after checking it."""
    name = parameter.name
    if parameter.number is not None:
        if isinstance(value, torch.Tensor) or not isinstance(value, int | float):
            raise TypeError(f"{name} must be a number, got {type(value).__name__}")
        passed = parameter.number(value)
        if isinstance(value, int) and passed.value != value and parameter.c_type != "float":
            raise ValueError(f"{name} must fit into {parameter.c_type}, got {value}")
        return passed
    if not isinstance(value, torch.Tensor):
        raise TypeError(f"{name} must be a tensor, got {type(value).__name__}")
    if value.device.type != "npu":
        raise ValueError(f"{name} must be on an NPU, got a tensor on {value.device}")
    check_same_device(first, name, value)
    if parameter.dtype and name_of(value.dtype) != parameter.dtype:
        raise TypeError(
            f"{name} must have dtype {parameter.dtype}, as the kernel declares it, got "
            f"{name_of(value.dtype)}"
        )
    if not value.is_contiguous():
        raise ValueError(f"{name} must be contiguous: pass {name}.contiguous()")
    return ctypes.c_void_p(value.data_ptr())


def _vector_cores(device: torch.device) -> int:
    """Return the number of vector cores that AscendCL reports."""
    library = ctypes.CDLL("libascendcl.so")
    count = ctypes.c_int64()
    code = library.aclGetDeviceCapability(device.index or 0, _VECTOR_CORES, ctypes.byref(count))
    if code != 0 or count.value < 1:
        raise ValueError(
            f"blocks must be given, since AscendCL does not report the cores (error {code})"
        )
    return count.value
