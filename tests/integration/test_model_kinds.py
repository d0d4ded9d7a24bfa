"""One small model of each kind trains on the NPU as on the CPU: in fp32, in bf16 and with autocast.

The NPU uses what torch_npu has, without this project's ops. What it computes in bf16 may be as far
from the CPU's fp32 as the CPU's own bf16 is.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import pytest
import torch

transformers = pytest.importorskip("transformers", reason="Transformers is not installed")

npu = pytest.mark.npu

#: The largest relative difference from the CPU's fp32, in the norm of the output and of all
#: gradients together; with bf16, of what the CPU's bf16 differs by.
FP32, OF_BF16 = 1e-4, 1.5
#: With torch_npu, Diffusers computes GEGLU by the tanh formula.
BY_TANH = {"UNet2DCondition": 5e-3}
_SIZES = {
    "vocab_size": 64,
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "max_position_embeddings": 64,
}
_EXPERTS = {"num_experts_per_tok": 2, "moe_intermediate_size": 16}
_DEEPSEEK = {
    **{"num_key_value_heads": 4, "n_routed_experts": 4, "n_group": 2, "topk_group": 1},
    **{"n_shared_experts": 1, "first_k_dense_replace": 1, "q_lora_rank": 16, "kv_lora_rank": 16},
    **{"qk_nope_head_dim": 8, "qk_rope_head_dim": 8, "v_head_dim": 8},
}


class Sequences(torch.nn.Module):
    """A recurrent network, of which only the outputs of all steps are returned."""

    def __init__(self, kind: str, **options: Any) -> None:
        super().__init__()
        self.rnn = getattr(torch.nn, kind)(6, 8, **options)

    def forward(self, x: torch.Tensor) -> Any:
        y, state = self.rnn(x)
        return torch.cat([y.flatten(), *(s.flatten() for s in state)])


def _language(kind: str, **options: Any) -> Callable[[], torch.nn.Module]:
    def made() -> torch.nn.Module:
        config = getattr(transformers, f"{kind}Config")(**{**_SIZES, **options})
        return getattr(transformers, f"{kind}ForCausalLM")._from_config(config)

    return made


def _vision(kind: str, **options: Any) -> Callable[[], torch.nn.Module]:
    def made() -> torch.nn.Module:
        config = getattr(transformers, f"{kind}Config")(**options)
        return getattr(transformers, f"{kind}ForImageClassification")(config)

    return made


def _unet() -> torch.nn.Module:
    diffusers = pytest.importorskip("diffusers", reason="Diffusers is not installed")
    return diffusers.UNet2DConditionModel(
        sample_size=8,
        block_out_channels=(8, 16),
        layers_per_block=1,
        down_block_types=("CrossAttnDownBlock2D", "DownBlock2D"),
        up_block_types=("UpBlock2D", "CrossAttnUpBlock2D"),
        cross_attention_dim=8,
        attention_head_dim=4,
        norm_num_groups=4,
    )


#: How each model is made.
MODELS: dict[str, Callable[[], torch.nn.Module]] = {
    "Mixtral": _language("Mixtral", num_local_experts=4, num_experts_per_tok=2),
    "Qwen3Moe": _language("Qwen3Moe", num_experts=4, head_dim=8, **_EXPERTS),
    "DeepseekV3": _language("DeepseekV3", **_DEEPSEEK, **_EXPERTS),
    "ResNet": _vision(
        "ResNet", embedding_size=8, hidden_sizes=[8, 16], depths=[1, 1], layer_type="basic"
    ),
    "EfficientNet": _vision(
        "EfficientNet", image_size=32, hidden_dim=320, width_coefficient=0.25, depth_coefficient=0.2
    ),
    "UNet2DCondition": _unet,
    "LSTM": lambda: Sequences("LSTM", num_layers=2, bidirectional=True),
    "LSTM of one layer": lambda: Sequences("LSTM", batch_first=True),
    "GRU": lambda: Sequences("GRU", num_layers=2, bidirectional=True),
}


def inputs_of(name: str, dtype: torch.dtype) -> dict[str, torch.Tensor]:
    generator = torch.Generator().manual_seed(1)

    def normal(*sizes: int) -> torch.Tensor:
        return torch.randn(sizes, generator=generator).bfloat16().to(dtype)

    if name in ("ResNet", "EfficientNet"):
        return {"pixel_values": normal(4, 3, 32, 32)}
    if name == "UNet2DCondition":
        states = normal(2, 5, 8)
        return {"sample": normal(2, 4, 8, 8), "timestep": torch.tensor([3, 7]),
                "encoder_hidden_states": states}  # fmt: skip
    if name.startswith(("LSTM", "GRU")):
        return {"x": normal(5, 3, 6)}
    return {"input_ids": torch.randint(3, 64, (2, 9), generator=generator)}


def made(name: str) -> torch.nn.Module:
    """Return the model in training mode, without dropout, with parameters that bf16 can hold."""
    torch.manual_seed(0)
    model = MODELS[name]().train()
    for module in model.modules():
        if isinstance(module, torch.nn.Dropout):
            module.p = 0.0
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.dim() > 1:  # not the default, in which some outputs are 0
                parameter.normal_(0.0, 0.2 if parameter.dim() == 2 else 0.1)
            parameter.copy_(parameter.bfloat16())
    return model


def step(model: torch.nn.Module, name: str, device: str, mode: str) -> list[torch.Tensor]:
    """Return the output and the gradients of all parameters in one vector."""
    dtype = torch.bfloat16 if mode == "bfloat16" else torch.float32
    model = copy.deepcopy(model).to(device=device, dtype=dtype)
    inputs = {key: value.to(device) for key, value in inputs_of(name, dtype).items()}
    # Without AVX-512, oneDNN has no LSTM in bfloat16 for the CPU.
    with (
        torch.backends.mkldnn.flags(enabled=not name.startswith("LSTM")),
        torch.autocast(device, torch.bfloat16, enabled=mode == "autocast"),
    ):
        found = model(**inputs)
    found = getattr(found, "logits", getattr(found, "sample", found)).float()
    # A fixed direction, so that no gradient vanishes by symmetry.
    weights = torch.linspace(-1, 1, found.numel(), device=device).reshape(found.shape)
    (found * weights).sum().backward()
    grads = [p.grad.flatten().float().cpu() for p in model.parameters() if p.grad is not None]
    return [found.detach().flatten().cpu(), torch.cat(grads)]


def relative(found: torch.Tensor, wanted: torch.Tensor) -> float:
    return float((found - wanted).norm() / wanted.norm())


@npu
@pytest.mark.parametrize("name", MODELS)
def test_a_model_of_each_kind_trains_as_on_the_cpu(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    import torch_npu  # noqa: F401

    if name == "UNet2DCondition":
        from diffusers.models import activations

        original = activations.GEGLU.forward

        def forward(self: Any, hidden_states: torch.Tensor) -> torch.Tensor:
            """Do not call npu_geglu, which Diffusers does on every device, for the CPU."""
            on_npu = hidden_states.device.type == "npu"
            monkeypatch.setattr(activations, "is_torch_npu_available", lambda: on_npu)
            return original(self, hidden_states)

        monkeypatch.setattr(activations.GEGLU, "forward", forward)
    model = made(name)
    wanted = step(model, name, "cpu", "float32")

    def differences(device: str, mode: str) -> list[float]:
        found = step(model, name, device, mode)
        return [relative(f, w) for f, w in zip(found, wanted, strict=True)]

    assert max(differences("npu", "float32")) <= BY_TANH.get(name, FP32)
    for mode in ("bfloat16", "autocast"):
        found, limits = differences("npu", mode), differences("cpu", mode)
        assert all(f <= OF_BF16 * limit for f, limit in zip(found, limits, strict=True)), (
            mode,
            found,
            limits,
        )
