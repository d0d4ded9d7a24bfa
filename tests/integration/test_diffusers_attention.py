"""Diffusers' models and attention backends on flash_attention, on the emulated NPU."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import torch
from torch.nn import functional
from torch.utils._python_dispatch import TorchDispatchMode

pytest.importorskip("diffusers", reason="diffusers is not installed")

from diffusers import DiTTransformer2DModel, FluxTransformer2DModel, UNet2DConditionModel
from diffusers.models import activations, attention_dispatch, normalization
from diffusers.models.attention_processor import Attention, AttnAddedKVProcessor

from ascend_ops.integrations import diffusers as integration

Tensor = torch.Tensor

BATCH, QUERIES, KEYS, HEADS, SIZE = 2, 6, 10, 4, 8


class Ops(TorchDispatchMode):
    """Count the calls of flash_attention on NPU tensors, below the public function."""

    def __init__(self) -> None:
        super().__init__()
        self.calls: Counter[str] = Counter()

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func.namespace.startswith("ascend_ops") and args[0].device.type == "npu":
            self.calls[func._schema.name.partition("::")[2]] += 1
        return func(*args, **(kwargs or {}))


def inputs(dtype: torch.dtype = torch.float32) -> list[Tensor]:
    generator = torch.Generator().manual_seed(0)
    query = torch.randn(BATCH, QUERIES, HEADS, SIZE, generator=generator)
    key, value = torch.randn(2, BATCH, KEYS, HEADS, SIZE, generator=generator)
    return [x.to(dtype) for x in (query, key, value)]


def expected(
    query: Tensor, key: Tensor, value: Tensor, mask: Tensor | None, **options: Any
) -> Tensor:
    """Return torch's attention on the CPU, in fp64."""
    wide = [x.double().transpose(1, 2) for x in (query, key, value)]
    if mask is not None and mask.dtype != torch.bool:
        mask = mask.double()
    return functional.scaled_dot_product_attention(*wide, mask, **options).transpose(1, 2)


def masks() -> dict[str, tuple[Tensor, Tensor]]:
    """Return masks as a caller passes them, and as torch takes them."""
    generator = torch.Generator().manual_seed(1)
    kept = torch.arange(KEYS) < torch.tensor([[7], [4]])
    padding = torch.zeros(BATCH, KEYS).masked_fill(~kept, -10000.0)
    scores = torch.rand(BATCH, HEADS, QUERIES, KEYS, generator=generator) < 0.7
    scores[..., 0] = True
    bias = torch.randn(BATCH, HEADS, QUERIES, KEYS, generator=generator)
    spread, spread_bias = kept[:, None, None], padding[:, None, None]
    return {
        "bool [B, Skv]": (kept, spread),
        "bool [B, 1, Skv]": (kept[:, None], spread),
        "bool [B, 1, 1, Skv]": (spread, spread),
        "bool [Sq, Skv]": (scores[0, 0], scores[0, 0]),
        "bool [B, Sq, Skv]": (scores[:, 0], scores[:, :1]),
        "bool [B, N, Sq, Skv]": (scores, scores),
        "bool [B N, Sq, Skv]": (scores.flatten(0, 1), scores),
        "all True": (torch.ones(BATCH, KEYS, dtype=torch.bool), torch.ones(1, KEYS).bool()),
        "float [B, Skv]": (padding, spread_bias),
        "float [B, 1, Skv]": (padding[:, None], spread_bias),
        "float [B, 1, 1, Skv]": (spread_bias, spread_bias),
        "float [Sq, Skv]": (bias[0, 0], bias[0, 0]),
        "float [B, N, Sq, Skv]": (bias, bias),
        "float [B N, 1, Skv]": (
            bias[:, :, :1].flatten(0, 1),
            bias[:, :, :1],
        ),
    }


@pytest.mark.npu
@pytest.mark.parametrize("backend", ["ascend_ops", "_native_npu"])
@pytest.mark.parametrize(
    ("dtype", "atol"), [(torch.float32, 1e-6), (torch.bfloat16, 2e-2), (torch.float16, 3e-3)]
)
def test_every_form_of_a_mask_selects_the_right_keys(
    backend: str, dtype: torch.dtype, atol: float
) -> None:
    integration.register()
    on_cpu = inputs(dtype)
    on_npu = [x.npu() for x in on_cpu]
    forms = {"none": (None, None), **masks()}
    with Ops() as ops:
        for name, (given, known) in forms.items():
            mask = None if given is None else given.npu()
            found = attention_dispatch.dispatch_attention_fn(*on_npu, mask, backend=backend).cpu()
            assert found.dtype == dtype
            wanted = expected(*on_cpu, known)
            torch.testing.assert_close(found.double(), wanted, atol=atol, rtol=0, msg=name)
    assert ops.calls["flash_attention"] == len(forms)


@pytest.mark.npu
def test_diffusers_own_backend_inverts_additive_masks() -> None:
    """This is the reason for the replacement."""
    on_cpu = inputs(torch.bfloat16)
    given, known = masks()["float [B, Skv]"]
    on_npu = [x.npu() for x in (*on_cpu, given)]
    found = attention_dispatch._native_npu_attention(*on_npu).cpu().double()
    assert (found - expected(*on_cpu, known)).abs().max() > 1


@pytest.mark.npu
def test_the_other_arguments_of_a_backend_are_used_or_refused() -> None:
    integration.register()
    call = attention_dispatch.dispatch_attention_fn
    on_cpu = [x[:, :QUERIES] for x in inputs()]
    on_npu = [x.npu() for x in on_cpu]
    for backend in ("ascend_ops", "_native_npu"):
        found = call(*on_npu, is_causal=True, scale=0.5, backend=backend)
        wanted = expected(*on_cpu, None, is_causal=True, scale=0.5)
        torch.testing.assert_close(found.cpu().double(), wanted, atol=1e-6, rtol=0)
        with pytest.raises(ValueError, match="return_lse must be False"):
            call(*on_npu, attention_kwargs={"return_lse": True}, backend=backend)
        with pytest.raises(ValueError, match="attn_mask must have 2 to 4 dimensions"):
            call(*on_npu, torch.ones(BATCH, QUERIES + 1).npu().bool(), backend=backend)
    with pytest.raises(ValueError, match="cannot be used with context parallelism"):
        call(*on_npu, backend="ascend_ops", parallel_config=object())
    bias = torch.zeros(BATCH, QUERIES).npu()
    with pytest.raises(ValueError, match="attn_mask must be bool with context parallelism"):
        call(*on_npu, bias, backend="_native_npu", parallel_config=object())
    with pytest.raises(ValueError, match="is_causal must be False with context parallelism"):
        call(*on_npu, is_causal=True, backend="_native_npu", parallel_config=object())


@contextmanager
def as_on_the_npu(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Let the CPU compute what an NPU computes.

    With torch_npu installed Diffusers calls its functions for CPU tensors too, and on an NPU its
    GEGLU uses the tanh formula of GELU.
    """
    with monkeypatch.context() as patch:
        for module in (activations, normalization):
            patch.setattr(module, "is_torch_npu_available", lambda: False)
        tanh = staticmethod(lambda gate: functional.gelu(gate, approximate="tanh"))
        patch.setattr(activations.GEGLU, "gelu", tanh)
        yield


Model = torch.nn.Module
Call = Callable[[Model, torch.device], Tensor]


def compare(
    model: Model, call: Call, layers: int, monkeypatch: pytest.MonkeyPatch, tolerance: float
) -> None:
    """Compare the output and all gradients of ``model`` on the NPU with the CPU's, in fp32.

    The tolerance is relative to the largest element of each tensor.
    """
    with as_on_the_npu(monkeypatch):
        wanted = call(model, torch.device("cpu"))
        wanted.square().sum().backward()
    grads = {name: p.grad for name, p in model.named_parameters()}
    model.zero_grad(set_to_none=True)
    model.npu()
    assert integration.set_attention(model) == layers
    with Ops() as ops:
        found = call(model, torch.device("npu"))
    assert ops.calls["flash_attention"] == layers
    found.square().sum().backward()
    close(found, wanted, tolerance, "output")
    for name, parameter in model.named_parameters():
        assert (parameter.grad is None) == (grads[name] is None), name
        if parameter.grad is not None:
            close(parameter.grad, grads[name], tolerance, name)


def close(found: Tensor, wanted: Tensor | None, tolerance: float, name: str) -> None:
    assert wanted is not None
    error = (found.cpu() - wanted).abs().max().item()
    assert error <= tolerance * max(1.0, wanted.abs().max().item()), f"{name}: {error}"


@pytest.mark.npu
@pytest.mark.parametrize("dtype", [torch.float32, torch.bool])
def test_a_unet_with_geglu_and_padded_text_is_that_of_the_cpu(
    dtype: torch.dtype, monkeypatch: pytest.MonkeyPatch
) -> None:
    torch.manual_seed(0)
    model = UNet2DConditionModel(
        sample_size=8,
        block_out_channels=(8, 16),
        layers_per_block=1,
        down_block_types=("CrossAttnDownBlock2D", "DownBlock2D"),
        up_block_types=("UpBlock2D", "CrossAttnUpBlock2D"),
        cross_attention_dim=12,
        attention_head_dim=4,
        norm_num_groups=4,
    )
    image, text = torch.randn(2, 4, 8, 8), torch.randn(2, KEYS, 12)
    kept = (torch.arange(KEYS) < torch.tensor([[7], [4]])).to(dtype)

    def call(model: Model, device: torch.device) -> Tensor:
        given = [x.to(device) for x in (image, text, kept)]
        output: Tensor = model(given[0], 7, given[1], encoder_attention_mask=given[2]).sample
        return output

    assert any(isinstance(module, activations.GEGLU) for module in model.modules())
    layers = sum(isinstance(module, Attention) for module in model.modules())
    compare(model, call, layers, monkeypatch, 1e-4)


@pytest.mark.npu
def test_a_dit_is_that_of_the_cpu(monkeypatch: pytest.MonkeyPatch) -> None:
    torch.manual_seed(0)
    model = DiTTransformer2DModel(
        num_attention_heads=2,
        attention_head_dim=8,
        num_layers=2,
        sample_size=8,
        in_channels=4,
        out_channels=4,
        num_embeds_ada_norm=10,
    ).eval()  # in training, class labels are dropped at random
    image, labels, steps = torch.randn(2, 4, 8, 8), torch.tensor([3, 9]), torch.tensor([10, 500])

    def call(model: Model, device: torch.device) -> Tensor:
        given = [x.to(device) for x in (image, steps, labels)]
        output: Tensor = model(given[0], timestep=given[1], class_labels=given[2]).sample
        return output

    compare(model, call, 2, monkeypatch, 1e-4)


@pytest.mark.npu
def test_a_model_that_dispatches_uses_the_backend(monkeypatch: pytest.MonkeyPatch) -> None:
    torch.manual_seed(0)
    model = FluxTransformer2DModel(
        in_channels=4,
        num_layers=1,
        num_single_layers=1,
        attention_head_dim=16,
        num_attention_heads=2,
        joint_attention_dim=8,
        pooled_projection_dim=8,
        axes_dims_rope=(4, 4, 8),
    )
    image, text, pooled = torch.randn(1, 9, 4), torch.randn(1, 5, 8), torch.randn(1, 8)
    places = torch.arange(27).reshape(9, 3).float()

    def call(model: Model, device: torch.device) -> Tensor:
        given = [x.to(device) for x in (image, text, pooled, torch.tensor([0.5]))]
        output: Tensor = model(
            *given, img_ids=places.to(device), txt_ids=torch.zeros(5, 3, device=device)
        ).sample
        return output

    compare(model, call, 2, monkeypatch, 1e-4)
    with torch.device("meta"):
        other = FluxTransformer2DModel(in_channels=4, num_layers=1, num_single_layers=0)
    attention = other.transformer_blocks[0].attn
    assert attention.processor._attention_backend is None  # only the given model is changed


@pytest.mark.npu
@pytest.mark.parametrize("backend", ["ascend_ops", "_native_npu"])
def test_diffusers_own_switches_know_the_backend(backend: str) -> None:
    integration.register()
    integration.register()
    query, key, value = (x.npu() for x in inputs())
    with attention_dispatch.attention_backend(backend), Ops() as ops:
        attention_dispatch.dispatch_attention_fn(query, key, value)
    model = DiTTransformer2DModel(num_attention_heads=1, attention_head_dim=8, num_layers=1)
    model.set_attention_backend(backend)
    active, _ = attention_dispatch._AttentionBackendRegistry.get_active_backend()
    assert active == backend
    assert ops.calls["flash_attention"] == 1


def test_a_processor_that_is_not_known_is_refused_before_anything_changes() -> None:
    model = torch.nn.ModuleDict(
        {
            "known": Attention(query_dim=8, heads=2, dim_head=4),
            "other": Attention(
                query_dim=8,
                heads=2,
                dim_head=4,
                added_kv_proj_dim=8,
                processor=AttnAddedKVProcessor(),
            ),
        }
    )
    with pytest.raises(ValueError, match="got other has AttnAddedKVProcessor"):
        integration.set_attention(model)
    assert type(model["known"].processor).__name__ == "AttnProcessor2_0"
    with pytest.raises(ValueError, match=r"model must have attention layers .*, got none"):
        integration.set_attention(torch.nn.Linear(2, 2))


def test_the_processor_follows_its_module() -> None:
    """Norms of query and key, group norm, the residual and images, against Diffusers' own."""
    torch.manual_seed(0)
    options = {"norm_num_groups": 4, "residual_connection": True, "rescale_output_factor": 2.0}
    attention = Attention(query_dim=8, heads=2, dim_head=4, qk_norm="layer_norm", **options)
    image, mask = torch.randn(2, 8, 3, 3), torch.randn(2, 1, 9)
    wanted = attention(image, attention_mask=mask)
    attention.set_processor(integration.AttnProcessor())
    torch.testing.assert_close(attention(image, attention_mask=mask), wanted, atol=1e-6, rtol=1e-5)
    crossing = Attention(
        8, cross_attention_dim=12, heads=2, dim_head=4, cross_attention_norm="layer_norm"
    )
    tokens, text = torch.randn(2, 5, 8), torch.randn(2, 7, 12)
    wanted = crossing(tokens, text)
    crossing.set_processor(integration.AttnProcessor())
    torch.testing.assert_close(crossing(tokens, text), wanted, atol=1e-6, rtol=1e-5)
    scaled = Attention(8, heads=2, dim_head=4, scale_qk=False)
    wanted = scaled(tokens)
    scaled.set_processor(integration.AttnProcessor())
    torch.testing.assert_close(scaled(tokens), wanted, atol=1e-6, rtol=1e-5)
