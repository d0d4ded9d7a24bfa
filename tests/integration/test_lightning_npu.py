"""Lightning's Trainer with ``accelerator="npu"``, on one and on two emulated NPUs."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from emulated_process import outside_environment
from limits import HANG_SECONDS

pytest.importorskip("lightning", reason="lightning is not installed")

from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.accelerators import AcceleratorRegistry, CPUAccelerator
from lightning.pytorch.plugins.precision import MixedPrecision
from lightning.pytorch.strategies import DDPStrategy, SingleDeviceStrategy
from lightning.pytorch.utilities.exceptions import MisconfigurationException

import ascend_ops.integrations.lightning as integration
from ascend_ops.integrations.lightning import NPUAccelerator, NPUDDPStrategy

QUIET = {
    "logger": False,
    "enable_checkpointing": False,
    "enable_progress_bar": False,
    "enable_model_summary": False,
}
STEPS = 6


class Model(LightningModule):
    """A small regression, which records the losses and what autocast does."""

    def __init__(self, optimizer: str = "AdamW") -> None:
        super().__init__()
        self.net = torch.nn.Sequential(
            torch.nn.Linear(16, 32), torch.nn.Tanh(), torch.nn.Linear(32, 4)
        )
        self.optimizer = optimizer
        self.losses: list[float] = []
        self.seen: set[str] = set()

    def training_step(self, batch: list[torch.Tensor]) -> torch.Tensor:
        x, y = batch
        output = self.net(x)
        loss = torch.nn.functional.mse_loss(output.float(), y)
        self.losses.append(loss.item())
        self.seen.add(f"{x.device} {output.dtype}")
        return loss

    def configure_optimizers(self) -> torch.optim.Optimizer:
        if self.optimizer == "FusedAdamW":
            from ascend_ops import FusedAdamW

            return FusedAdamW(self.parameters(), lr=1e-2)
        return torch.optim.AdamW(self.parameters(), lr=1e-2)


def batches(workers: int = 1) -> torch.utils.data.DataLoader[list[torch.Tensor]]:
    generator = torch.Generator().manual_seed(1)
    x, y = (torch.randn(8 * STEPS * workers, n, generator=generator) for n in (16, 4))
    data = torch.utils.data.TensorDataset(x, y)
    return torch.utils.data.DataLoader(data, batch_size=8)


def fitted(accelerator: str, optimizer: str = "AdamW", **options: object) -> Model:
    torch.manual_seed(0)
    model = Model(optimizer)
    trainer = Trainer(accelerator=accelerator, devices=1, max_epochs=1, **QUIET, **options)
    trainer.fit(model, batches())
    return model


@pytest.mark.npu
def test_fit_on_one_npu_gives_the_losses_of_the_cpu() -> None:
    expected, found = fitted("cpu"), fitted("npu")
    assert found.seen == {"npu:0 torch.float32"}
    assert len(found.losses) == STEPS
    torch.testing.assert_close(found.losses, expected.losses, rtol=1e-5, atol=1e-6)


@pytest.mark.npu
@pytest.mark.parametrize(
    ("precision", "dtype", "rtol"),
    [("bf16-mixed", "bfloat16", 3e-2), ("16-mixed", "float16", 4e-3)],
)
def test_mixed_precision_uses_the_npus_autocast(precision: str, dtype: str, rtol: float) -> None:
    """Lightning's own choice is "cuda", which leaves all of it in fp32."""
    expected, found = fitted("cpu"), fitted("npu", precision=precision)
    assert found.seen == {f"npu:0 torch.{dtype}"}
    torch.testing.assert_close(found.losses, expected.losses, rtol=rtol, atol=0)


@pytest.mark.npu
def test_a_loss_scaling_of_the_user_is_kept() -> None:
    scaler = torch.amp.GradScaler("npu", init_scale=64.0)
    plugin = MixedPrecision("16-mixed", "cuda", scaler)
    found = fitted("npu", plugins=plugin)
    assert (plugin.device, plugin.scaler, scaler.get_scale()) == ("npu", scaler, 64.0)
    assert found.seen == {"npu:0 torch.float16"}


@pytest.mark.parametrize("name", ["lightning", "diffusers"])
def test_another_version_of_a_framework_is_refused_by_name(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    if name == "lightning":
        monkeypatch.setattr(integration, "AcceleratorRegistry", {})
        connector = integration.accelerator_connector._AcceleratorConnector
        monkeypatch.delattr(connector, "_choose_strategy")
        register = integration.register
    else:
        dispatch = pytest.importorskip("diffusers.models.attention_dispatch")
        monkeypatch.delattr(dispatch, "_AttentionBackendRegistry")
        from ascend_ops.integrations.diffusers import register
    with pytest.raises(RuntimeError, match=f"integrations.{name}.* requires .*; this is "):
        register()
    assert not (name == "lightning" and integration.AcceleratorRegistry)  # nothing was changed


@pytest.mark.npu
def test_fused_adamw_trains_with_loss_scaling(monkeypatch: pytest.MonkeyPatch) -> None:
    from ascend_ops import FusedAdamW

    steps: list[bool] = []
    original = FusedAdamW.step

    def step(self: FusedAdamW, *args: object, **options: object) -> object:
        steps.append(all(p.is_npu for group in self.param_groups for p in group["params"]))
        return original(self, *args, **options)

    monkeypatch.setattr(FusedAdamW, "step", step)
    expected = fitted("cpu")
    found = fitted("npu", "FusedAdamW", precision="16-mixed")
    assert steps == [True] * STEPS
    torch.testing.assert_close(found.losses, expected.losses, rtol=4e-3, atol=0)


@pytest.mark.npu
def test_the_trainer_chooses_its_strategy_by_the_number_of_npus() -> None:
    assert NPUAccelerator.is_available()
    one = Trainer(accelerator="npu", devices=[3], **QUIET)
    assert type(one.strategy) is SingleDeviceStrategy
    assert one.strategy.root_device == torch.device("npu:3")
    two = Trainer(accelerator="npu", devices=2, **QUIET)
    assert type(two.strategy) is NPUDDPStrategy
    assert two.strategy.parallel_devices == [torch.device("npu:0"), torch.device("npu:1")]
    assert Trainer(accelerator="cpu", **QUIET).strategy.root_device == torch.device("cpu")
    assert isinstance(two.strategy, DDPStrategy)
    misled = Trainer(accelerator="npu", strategy=SingleDeviceStrategy("cpu"), **QUIET)
    with pytest.raises(MisconfigurationException, match="must be an NPU with accelerator='npu'"):
        misled.fit(Model(), batches())


@pytest.mark.npu
def test_devices_are_parsed_and_checked() -> None:
    parse = NPUAccelerator.parse_devices
    assert parse(2) == parse("2") == [0, 1]
    assert parse("0,3") == parse([0, 3]) == parse((0, 3)) == [0, 3]
    assert parse("3,") == [3]
    assert parse(-1) == parse("-1") == list(range(NPUAccelerator.auto_device_count()))
    for wrong in (0, 99, "99,", [0, 0], [-2], "first", ""):
        with pytest.raises(MisconfigurationException, match="devices must be different NPUs"):
            parse(wrong)


@pytest.mark.npu
def test_memory_statistics_are_those_of_the_device() -> None:
    x = torch.zeros(1024, device="npu")
    stats = NPUAccelerator().get_device_stats(torch.device("npu:0"))
    assert stats["allocated_bytes.all.current"] >= x.nbytes


def test_without_an_npu_the_trainer_refuses(monkeypatch: pytest.MonkeyPatch) -> None:
    unavailable = integration.npu.Availability(True, False, False, "CANN is missing")
    monkeypatch.setattr(integration.npu, "is_available", lambda: unavailable)
    with pytest.raises(MisconfigurationException, match=r"NPUAccelerator.* can not run"):
        Trainer(accelerator="npu", devices=1, **QUIET)


def test_registering_again_changes_nothing() -> None:
    before = dict(AcceleratorRegistry)
    integration.register()
    assert dict(AcceleratorRegistry) == before
    assert AcceleratorRegistry["npu"]["accelerator"] is NPUAccelerator
    assert isinstance(AcceleratorRegistry.get("cpu"), CPUAccelerator)


_TWO = """
import json, sys
from pathlib import Path
sys.path[:0] = sys.argv[1:]
import torch
import ascend_ops.integrations.lightning
from test_lightning_npu import Model, QUIET, Trainer, batches

torch.manual_seed(0)
model = Model("FusedAdamW")
trainer = Trainer(accelerator="npu", devices=2, max_epochs=1, **QUIET)
trainer.fit(model, batches(2))
weights = torch.cat([p.detach().flatten() for p in model.parameters()]).cpu()
found = [torch.distributed.get_backend(), sorted(model.seen), weights.tolist()]
Path(sys.argv[0]).with_name(f"{trainer.global_rank}.json").write_text(json.dumps(found))
"""


def test_fit_on_two_npus_trains_the_same_weights_on_both(tmp_path: Path) -> None:
    """Lightning starts the second process itself."""
    script = tmp_path / "two.py"
    script.write_text(_TWO, encoding="utf-8")
    folders = [str(folder) for folder in Path(__file__).parents[:2]]
    command = [sys.executable, "-m", "ascend_ops", "emulate", "--devices", "2", "--"]
    done = subprocess.run(
        [*command, sys.executable, str(script), *folders],
        env=outside_environment(OMP_NUM_THREADS="1"),
        capture_output=True,
        text=True,
        timeout=HANG_SECONDS,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    first, second = (json.loads((tmp_path / f"{rank}.json").read_text()) for rank in range(2))
    assert first[:2] == ["hccl", ["npu:0 torch.float32"]]
    assert second[:2] == ["hccl", ["npu:1 torch.float32"]]
    assert first[2] == second[2]
