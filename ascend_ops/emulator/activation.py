"""Makes torch_npu in this process find the emulated NPU."""

from __future__ import annotations

import ctypes
import os
import sys

from op_builder import envs
from op_builder.errors import AscendOpsError
from op_builder.toolchain.torch_install import find_torch

from ..dispatch.loading import build_progress
from . import missing_functions
from .cann_folder import EmulatedCann, emulated_cann

#: torch's libraries that the operators are linked against, in loading order.
_TORCH_LIBRARIES = ("libtorch_global_deps.so", "libtorch_cpu.so", "libtorch.so")

_active: EmulatedCann | None = None


class ActivationError(AscendOpsError):
    """The emulated NPU cannot be activated, because torch_npu is imported already."""


def activate(**options: object) -> EmulatedCann:
    """Make torch_npu find the emulated NPU in this process and in processes that it starts.

    Call it before ``import torch_npu``. A second call in a process only sets options.

    Args:
        options: the emulator's environment variables without their prefix, in lower case.
            ``activate(devices=2, races=True)`` sets ASCEND_EMULATOR_DEVICES=2 and
            ASCEND_EMULATOR_RACES=1.

    Returns:
        The CANN folder that torch_npu finds.

    Raises:
        ActivationError: torch_npu was imported before and does not run on the emulated NPU, or has
            read other options.
        IncompatibleOpError: torch_npu is not installed.
        BuildError: a library of the emulator does not compile.

    Example:
        >>> from ascend_ops.emulator import activate
        >>> cann = activate(devices=2, banner=False)
        >>> import torch, torch_npu
        >>> torch.npu.device_count()
        2
        >>> (torch.ones(3).npu() + 1).tolist()
        [2.0, 2.0, 2.0]
    """
    global _active
    _set(options)
    if _active is not None:
        return _active
    started_with = envs.EMULATOR_HOME.get()
    if started_with and "torch_npu" in sys.modules:  # by `ascend-ops emulate`
        _active = EmulatedCann(started_with, envs.EMULATOR_CANN_VERSION.get())
        return _active
    if "torch_npu" in sys.modules:
        raise ActivationError(
            "torch_npu was imported before ascend_ops.emulator.activate(). Call activate first. If "
            "torch_npu is installed, `import torch` imports it: call activate before that as well, "
            "or set TORCH_DEVICE_BACKEND_AUTOLOAD=0."
        )
    if sys.stderr.isatty():
        with build_progress() as on_progress:
            cann = emulated_cann(on_progress=on_progress)
    else:
        cann = emulated_cann()
    envs.export(cann.child_environment(envs.process_environment()))
    _preload(cann)
    missing_functions.install()
    _active = cann
    return cann


def _set(options: dict[str, object]) -> None:
    wanted = {f"{envs.EMULATOR_PREFIX}{n.upper()}": _text(v) for n, v in options.items()}
    current = envs.process_environment()
    late = [f"{name}={text}" for name, text in wanted.items() if current.get(name) != text]
    if late and is_active() and "torch_npu" in sys.modules:
        raise ActivationError(
            "torch_npu was imported before ascend_ops.emulator.activate() and has read its "
            f"options. Set {' '.join(late)} in the environment, or call activate first."
        )
    envs.export(wanted)


def _text(value: object) -> str:
    return str(int(value) if isinstance(value, bool) else value)


def is_active() -> bool:
    """Return whether this process's NPU is the emulated one.

    Example:
        >>> from ascend_ops.emulator import activate, is_active
        >>> is_active()
        False
        >>> cann = activate()
        >>> is_active()
        True
    """
    return _active is not None or envs.EMULATOR_HOME.get() is not None


def _preload(cann: EmulatedCann) -> None:
    """Load the libraries by path, because the loader read LD_LIBRARY_PATH when the process began.

    Libraries that depend on one of them later find it by its soname.
    """
    torch = find_torch()
    assert torch is not None
    for name in _TORCH_LIBRARIES:
        ctypes.CDLL(str(torch.library_dir / name), os.RTLD_LAZY | os.RTLD_GLOBAL)
    for library in cann.libraries:
        ctypes.CDLL(str(library), os.RTLD_LAZY | os.RTLD_GLOBAL)
