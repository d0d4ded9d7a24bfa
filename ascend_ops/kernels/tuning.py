"""The fastest configuration of a kernel for its arguments, measured once and remembered.

A result is kept in the user's cache. Its key is everything that may change it: the source, the
candidates, the SoC, the version of CANN, whether the NPU is emulated, and the key of the arguments.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Generic, ParamSpec

import torch

from op_builder import envs
from op_builder.cache.layers import Layer, user_root
from op_builder.cann import CannInstall
from op_builder.errors import BuildError
from op_builder.system import file_identity
from op_builder.system.private_folder import make_below, write_file

from .jit import JitKernel, KernelConfig
from .signature import signature_of

P = ParamSpec("P")
_FOLDER_MODE = 0o700
_WARM_UP, _MEASURED, _ROUNDS = 3, 10, 3


class TunedKernel(Generic[P]):
    """A kernel that is launched with its fastest configuration; :func:`autotune` makes it.

    The candidates are measured on copies of the tensors, so that a kernel that works in place is
    measured too. A candidate that does not compile is left out.

    Attributes:
        kernel: The kernel.
        configs: The candidates.
    """

    def __init__(
        self, kernel: JitKernel[P], configs: Sequence[KernelConfig], key: Sequence[str]
    ) -> None:
        source = kernel.source
        parameters = signature_of(source.text, source.name, kernel.config.constants).parameters
        names = [parameter.name for parameter in parameters]
        unknown = [name for name in key if name not in names]
        if unknown:
            raise ValueError(
                f"key must name parameters of {source.name} ({', '.join(names)}), got "
                f"{unknown[0]!r}"
            )
        if not configs:
            raise ValueError("configs must have at least one configuration, got none")
        self.kernel = kernel
        self.configs = tuple(configs)
        self._candidates = [kernel.configured(config) for config in configs]
        self._positions = [names.index(name) for name in key]
        self._chosen: dict[tuple[object, ...], int] = {}

    def __call__(self, *arguments: P.args, **options: P.kwargs) -> None:
        """Launch the kernel; measure the candidates first if the key of the arguments is new.

        Raises:
            BuildError: No candidate compiles; the error is that of the first.
        """
        self._candidates[self._index_for(arguments)](*arguments, **options)

    def config_for(self, *arguments: P.args, **_: P.kwargs) -> KernelConfig:
        """Return the configuration for these arguments, measuring it if it is not known."""
        return self.configs[self._index_for(arguments)]

    def _index_for(self, arguments: Sequence[Any]) -> int:
        key = tuple(_key_of(arguments[position]) for position in self._positions)
        index = self._chosen.get(key)
        if index is None:
            index = self._chosen[key] = self._best(key, arguments)
        return index

    def _best(self, key: tuple[object, ...], arguments: Sequence[Any]) -> int:
        record = _Record(self.kernel, self.configs, key)
        known = record.read(len(self.configs))
        if known is not None:
            return known
        milliseconds: list[float | None] = []
        first_error: BuildError | None = None
        for candidate in self._candidates:
            try:
                milliseconds.append(_measured(candidate, arguments))
            except BuildError as error:
                first_error = first_error or error
                milliseconds.append(None)
        measured = [time for time in milliseconds if time is not None]
        if not measured:
            assert first_error is not None
            raise first_error
        best = milliseconds.index(min(measured))
        record.write(best, milliseconds)
        return best


def autotune(
    kernel: JitKernel[P], configs: Sequence[KernelConfig], key: Sequence[str]
) -> TunedKernel[P]:
    """Return the kernel with the configuration that is fastest for its arguments.

    A result is remembered in the user's cache, by the content of the source, the candidates, the
    SoC, the version of CANN and the values of ``key``.

    Args:
        kernel: What :func:`ascend_ops.jit_kernel` returned.
        configs: The candidates; their constants are added to those of the kernel.
        key: The parameters whose values decide: numbers by their value, tensors by their dtype and
            shape. The first call with new values measures all candidates.

    Raises:
        ValueError: ``configs`` is empty, or ``key`` names no parameter.

    Example:
        >>> from ascend_ops import KernelConfig, autotune, jit_kernel
        >>> text = "__global__ __aicore__ void scale(GM_ADDR x, int n) { /* uses TILE */ }"
        >>> configs = [KernelConfig({"TILE": tile}) for tile in (1024, 2048)]
        >>> len(autotune(jit_kernel(text, name="scale"), configs, key=["n"]).configs)
        2
    """
    return TunedKernel(kernel, configs, key)


def _key_of(value: Any) -> object:
    if isinstance(value, torch.Tensor):
        return (str(value.dtype), *value.shape)
    return value if isinstance(value, int | float) else repr(value)


def _measured(kernel: Callable[..., None], arguments: Sequence[Any]) -> float:
    """Return the milliseconds of a launch, on copies of the tensors."""
    copies = [a.clone() if isinstance(a, torch.Tensor) else a for a in arguments]
    events = [torch.npu.Event(enable_timing=True) for _ in range(2)]  # type: ignore[attr-defined]
    for _ in range(_WARM_UP):
        kernel(*copies)
    best = float("inf")
    for _ in range(_ROUNDS):
        events[0].record()
        for _ in range(_MEASURED):
            kernel(*copies)
        events[1].record()
        events[1].synchronize()
        best = min(best, events[0].elapsed_time(events[1]) / _MEASURED)
    return best


class _Record:
    """What the cache has for a kernel, its candidates and a key."""

    def __init__(
        self, kernel: JitKernel[Any], configs: Sequence[KernelConfig], key: tuple[object, ...]
    ) -> None:
        environ = envs.process_environment()
        self._root = user_root(environ)
        cann = CannInstall.find(environ)
        self._facts: dict[str, object] = {
            "kernel": kernel.source.name,
            "soc": torch.npu.get_device_name(),  # type: ignore[attr-defined]
            "cann": str(cann.version or "unknown"),
            "emulated": envs.EMULATOR_HOME.get(environ) is not None,
            "key": list(map(str, key)),
            "configs": [[sorted(c.constants.items()), c.blocks] for c in configs],
        }
        parts = [kernel.source.text, repr(kernel.source.arguments), repr(kernel.config)]
        parts += [*map(str, kernel.source.include_paths), json.dumps(self._facts)]
        digest = file_identity.digest_bytes("\0".join(parts).encode())[:32]
        self.path = self._root / "kernels" / "tuned" / f"{digest}.json"

    def read(self, count: int) -> int | None:
        """Return the index of the best configuration; None if it is not known."""
        if Layer("user", self._root, shipped=False).danger():
            return None
        try:
            best = json.loads(self.path.read_text(encoding="utf-8"))["best"]
        except (OSError, ValueError, KeyError, TypeError):
            return None
        return best if isinstance(best, int) and 0 <= best < count else None

    def write(self, best: int, milliseconds: Sequence[float | None]) -> None:
        """Keep a result; without a cache that can be written, it is measured again next time."""
        content = {**self._facts, "best": best, "milliseconds": list(milliseconds)}
        try:
            Layer("user", self._root, shipped=False).prepare()
            make_below(self._root, Path(self.path).parent, _FOLDER_MODE)
            write_file(self.path, json.dumps(content, indent=1).encode(), _FOLDER_MODE)
        except OSError:
            return
