"""Lightning: ``Trainer(accelerator="npu")``.

Importing this module registers the accelerator with Lightning, as :func:`register` does.

Example:
    >>> import ascend_ops.integrations.lightning
    >>> from lightning.pytorch import Trainer
    >>> trainer = Trainer(accelerator="npu", devices=1, logger=False)
    >>> trainer.strategy.root_device
    device(type='npu', index=0)
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from importlib.metadata import version
from typing import Any

import torch
from lightning.pytorch import Trainer
from lightning.pytorch.accelerators import Accelerator, AcceleratorRegistry
from lightning.pytorch.plugins.precision import MixedPrecision
from lightning.pytorch.strategies import DDPStrategy, SingleDeviceStrategy, StrategyRegistry
from lightning.pytorch.trainer.connectors import accelerator_connector
from lightning.pytorch.utilities.exceptions import MisconfigurationException

from ascend_ops import npu

_Devices = int | str | list[int] | tuple[int, ...]


class NPUAccelerator(Accelerator):  # type: ignore[misc,unused-ignore] # Any without Lightning
    """Ascend NPUs for Lightning's Trainer.

    Example:
        >>> from lightning.pytorch import Trainer
        >>> from ascend_ops.integrations.lightning import NPUAccelerator
        >>> NPUAccelerator.parse_devices("0,1")
        [0, 1]
        >>> Trainer(accelerator=NPUAccelerator(), devices=1, logger=False).strategy.root_device
        device(type='npu', index=0)
    """

    def setup_device(self, device: torch.device) -> None:
        """Make ``device`` the current one. Raises MisconfigurationException if it is not an NPU."""
        if device.type != "npu":
            raise MisconfigurationException(
                f"the strategy's device must be an NPU with accelerator='npu', got {device}: leave "
                "the strategy to the Trainer, or pass SingleDeviceStrategy('npu:0')"
            )
        npu.set_device(device)

    def setup(self, trainer: Trainer) -> None:
        """Let mixed precision use autocast and loss scaling of the NPU.

        Lightning chooses "cuda" for every accelerator that it does not know, and then computes in
        fp32.
        """
        plugin = trainer.strategy.precision_plugin
        if isinstance(plugin, MixedPrecision) and plugin.device != "npu":
            plugin.device = "npu"
            if plugin.scaler is not None and not plugin.scaler.is_enabled():  # without CUDA
                plugin.scaler = torch.amp.GradScaler("npu")
        npu.empty_cache()

    def get_device_stats(self, device: Any) -> dict[str, Any]:
        """Return torch_npu's memory statistics."""
        stats: dict[str, Any] = torch.npu.memory_stats(device)  # type: ignore[attr-defined]
        return stats

    def teardown(self) -> None:
        """Give cached memory back to the device."""
        npu.empty_cache()

    @staticmethod
    def parse_devices(devices: _Devices) -> list[int]:
        """Return the numbers of the NPUs: 2, "2", "0,3", [0, 3] and -1 (all) are understood."""
        numbers = _numbers(devices)
        count = npu.device_count()
        if not numbers or len(set(numbers)) < len(numbers) or not set(numbers) <= set(range(count)):
            raise MisconfigurationException(
                f"devices must be different NPUs from 0 to {count - 1}, got {devices!r}"
            )
        return numbers

    @staticmethod
    def get_parallel_devices(devices: list[int]) -> list[torch.device]:
        """Return one torch.device per number."""
        return [torch.device(npu.device_string(device)) for device in devices]

    @staticmethod
    def auto_device_count() -> int:
        """Return the number of NPUs."""
        return npu.device_count()

    @staticmethod
    def is_available() -> bool:
        """Return whether there is an NPU, which imports torch_npu."""
        if not npu.is_available():
            return False
        import torch_npu  # type: ignore[import-not-found,import-untyped,unused-ignore]  # noqa: F401

        return True

    @staticmethod
    def name() -> str:
        """Return "npu"."""
        return "npu"


class NPUDDPStrategy(DDPStrategy):  # type: ignore[misc,unused-ignore]
    """DDP that also works on NPUs: it starts no stream of CUDA for them.

    :func:`register` makes Lightning use it for ``strategy="ddp"`` and its variants.

    Example:
        >>> from lightning.pytorch import Trainer
        >>> import ascend_ops.integrations.lightning
        >>> trainer = Trainer(accelerator="npu", devices=2, strategy="ddp", logger=False)
        >>> type(trainer.strategy).__name__
        'NPUDDPStrategy'
    """

    def determine_ddp_device_ids(self) -> list[int] | None:
        """Return None for an NPU: DDP then takes the device of the module's parameters."""
        if self.root_device.type == "npu":
            return None
        ids: list[int] | None = super().determine_ddp_device_ids()
        return ids


def register() -> None:
    """Make ``Trainer(accelerator="npu")`` work; a second call does nothing.

    On one NPU the Trainer then chooses ``SingleDeviceStrategy`` with that NPU, and on several DDP
    over HCCL. Other accelerators are left as they are.

    Raises:
        RuntimeError: this Lightning chooses its strategy in another way than 2.6.6.

    Example:
        >>> from ascend_ops.integrations import lightning
        >>> from lightning.pytorch.accelerators import AcceleratorRegistry
        >>> lightning.register()
        >>> "npu" in AcceleratorRegistry
        True
    """
    if "npu" in AcceleratorRegistry:
        return
    connector = accelerator_connector._AcceleratorConnector
    if not hasattr(connector, "_choose_strategy"):
        raise RuntimeError(
            "ascend_ops.integrations.lightning requires a Lightning whose Trainer chooses its "
            f"strategy as 2.6.6 does; this is {version('lightning')}"
        )
    connector._choose_strategy = _with_npus(connector._choose_strategy)
    for name, entry in list(StrategyRegistry.items()):
        if entry["strategy"] is DDPStrategy:
            StrategyRegistry.register(
                name,
                NPUDDPStrategy,
                description=entry["description"],
                override=True,
                **entry["init_params"],
            )
    AcceleratorRegistry.register("npu", NPUAccelerator, description="Ascend NPUs")


def _with_npus(choose: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """Give the strategy for a single device the NPU; Lightning gives it the CPU."""

    @functools.wraps(choose)
    def choose_strategy(connector: Any) -> Any:
        chosen = choose(connector)
        if isinstance(connector.accelerator, NPUAccelerator) and isinstance(
            chosen, SingleDeviceStrategy
        ):
            return SingleDeviceStrategy(device=connector._parallel_devices[0])
        return chosen

    return choose_strategy


def _numbers(devices: _Devices) -> list[int]:
    if isinstance(devices, list | tuple):
        return list(devices)
    try:
        parts = [int(part) for part in str(devices).split(",") if part.strip()]
    except ValueError:
        return []
    if parts == [-1]:
        return list(range(npu.device_count()))
    return list(range(parts[0])) if len(parts) == 1 and "," not in str(devices) else parts


register()
