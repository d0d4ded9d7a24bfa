"""What each binding adds to a build: include folders, flags, versions that it depends on."""

from __future__ import annotations

import importlib.util
from dataclasses import field
from pathlib import Path

from ..lazy_dataclass import dataclass
from ..toolchain.detect import Toolchain
from ..toolchain.torch_install import PackageInstall
from .torch_target import TorchTarget, default_target

_BASE_FLAGS = ("-O3", "-fPIC", "-fvisibility=hidden", "-Wall", "-Wextra")
# An undefined symbol fails the link, which names it, rather than the load.
_ALL_DEFINED = "-Wl,-z,defs"


@dataclass
class BindingSettings:
    """What a binding adds to a spec."""

    roots: dict[str, Path] = field(default_factory=dict)
    include_dirs: list[str] = field(default_factory=list)
    cxx_flags: list[str] = field(default_factory=lambda: [*_BASE_FLAGS])
    ld_flags: list[str] = field(default_factory=list)
    bound_to: dict[str, str] = field(default_factory=dict)


def binding_refusals(
    binding: str, toolchain: Toolchain, uses_torch: bool, target: TorchTarget | None = None
) -> list[str]:
    """Return every reason why ``binding`` cannot be used with ``toolchain``.

    The other arguments are those of :func:`binding_settings`.
    """
    if toolchain.is_cross and (binding not in ("stable", "ctypes") or uses_torch):
        uses = " that includes torch's headers" if uses_torch else ""
        return [
            f"BINDING must be 'stable' or 'ctypes' to build for {toolchain.machine} on another "
            f"machine, got {binding!r}{uses}, which links the libraries of that machine's torch or "
            "Python: build it there"
        ]
    if binding not in ("stable", "torch", "torch_extension") and not uses_torch:
        return []
    if toolchain.torch is None:
        return ["torch is not installed: `pip install torch`"]
    oldest = (target or default_target()).oldest
    if binding == "stable" and oldest is not None and toolchain.torch.release < oldest:
        version = ".".join(map(str, oldest))
        return [
            f"torch must be {version} or newer, whose stable ABI has the functions that this "
            f"op calls, got {toolchain.torch.version}: `pip install 'torch>={version}'`"
        ]
    return []


def binding_settings(
    binding: str,
    name: str,
    toolchain: Toolchain,
    uses_torch: bool,
    target: TorchTarget | None = None,
) -> BindingSettings:
    """Return what a binding adds to a spec.

    Args:
        binding: One of :data:`op_builder.recipe.spec.BINDINGS`.
        name: The op's name.
        toolchain: The toolchain; if it has no torch, torch's folders are missing.
        uses_torch: Whether a ``python`` or ``ctypes`` op includes torch's headers.
        target: The torch version that a ``stable`` op targets; this project's default if None.
    """
    settings = BindingSettings()
    if binding == "stable":
        _stable(settings, toolchain, target or default_target())
    elif binding == "torch":
        _torch(settings, toolchain)
    elif binding == "torch_extension":
        _torch_extension(settings, name, toolchain)
    elif binding == "python":
        if uses_torch:
            _torch_extension(settings, name, toolchain)
        else:
            _python(settings, name, toolchain)
    else:
        settings.cxx_flags.append("-std=c++17")
        if uses_torch:
            _torch(settings, toolchain)
    return settings


def _stable(settings: BindingSettings, toolchain: Toolchain, target: TorchTarget) -> None:
    settings.cxx_flags += ["-std=c++17", *target.cxx_flags]
    if target.oldest is not None:
        oldest = ".".join(map(str, target.oldest))
        settings.bound_to["torch"] = f"stable ABI, {oldest} or newer"
    if toolchain.torch is None:
        return
    if target.oldest is None:
        settings.bound_to["torch"] = _exactly(toolchain.torch)
    _add_torch_tree(settings, toolchain)
    settings.ld_flags += ["-ltorch_cpu", _ALL_DEFINED]


def _torch(settings: BindingSettings, toolchain: Toolchain) -> None:
    settings.cxx_flags.append("-std=c++20" if _wants_cxx20(toolchain) else "-std=c++17")
    if toolchain.torch is None:
        return
    abi = int(toolchain.torch.uses_cxx11_abi())
    settings.cxx_flags.append(f"-D_GLIBCXX_USE_CXX11_ABI={abi}")
    settings.bound_to["torch"] = f"{_exactly(toolchain.torch)}, C++11 ABI {abi}"
    _add_torch_tree(settings, toolchain)
    settings.include_dirs.append("torch/include/torch/csrc/api/include")  # torch/extension.h
    settings.ld_flags += ["-ltorch", "-ltorch_cpu", "-lc10", _ALL_DEFINED]


def _torch_extension(settings: BindingSettings, name: str, toolchain: Toolchain) -> None:
    """Add what ``torch/extension.h`` includes and links: torch, Python and torch's own pybind11.

    pip's pybind11 must not come first: if its internals have another version than those of torch,
    the op refuses the classes that ``torch._C`` binds with a TypeError. Python's folder comes last
    because distributions install pybind11 there.
    """
    _torch(settings, toolchain)
    _add_python(settings, name, toolchain)
    settings.cxx_flags.append("-DTORCH_API_INCLUDE_EXTENSION_H")
    settings.ld_flags.append("-ltorch_python")
    # The interpreter defines Python's own symbols.
    settings.ld_flags = [flag for flag in settings.ld_flags if flag != _ALL_DEFINED]


def _python(settings: BindingSettings, name: str, toolchain: Toolchain) -> None:
    settings.cxx_flags.append("-std=c++17")
    _add_python(settings, name, toolchain)
    pybind11 = importlib.util.find_spec("pybind11")
    if pybind11 is not None and pybind11.origin:
        settings.roots["pybind11"] = Path(pybind11.origin).parent / "include"
        settings.include_dirs.append("pybind11")


def _add_python(settings: BindingSettings, name: str, toolchain: Toolchain) -> None:
    settings.bound_to["python"] = toolchain.python_abi
    settings.cxx_flags.append(f"-DTORCH_EXTENSION_NAME={name}")
    settings.roots["python"] = toolchain.python_include
    settings.include_dirs.append("python")


def _exactly(torch: PackageInstall) -> str:
    return f"{torch.version} {torch.revision[:12]}"


def _add_torch_tree(settings: BindingSettings, toolchain: Toolchain) -> None:
    assert toolchain.torch is not None
    settings.roots["torch"] = toolchain.torch.root
    settings.include_dirs.append("torch/include")
    settings.ld_flags.append("-Ltorch/lib")


def _wants_cxx20(toolchain: Toolchain) -> bool:
    """Return whether torch compiles extensions as C++20, as it does since 2.13."""
    return toolchain.torch is not None and toolchain.torch.release >= (2, 13)
