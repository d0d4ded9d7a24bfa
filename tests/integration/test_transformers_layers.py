"""kernelize(): norms, rotary embedding and SwiGLU of models on the emulated NPU; experts."""

from __future__ import annotations

import copy
import logging

import pytest
import torch

pytest.importorskip("transformers", reason="Transformers is not installed")

from transformers_models import eager, largest_difference, ours, tokens

npu = pytest.mark.npu
#: The calls of one forward pass of two layers.
CALLS = {
    "Llama": {"rms_norm": 5, "rotary_embedding": 4, "silu_mul": 2},
    "Qwen3": {"rms_norm": 9, "rotary_embedding": 4, "silu_mul": 2},
    "Gemma2": {"rms_norm": 9, "rotary_embedding": 4},
    "GptOss": {"rms_norm": 5, "rotary_embedding": 4},
}


@npu
@pytest.mark.parametrize("name", CALLS)
def test_layers_give_the_same_logits_and_gradients(name: str) -> None:
    from ascend_ops.integrations.transformers import calls, kernelize, reset_calls

    wanted = eager(name)
    found = copy.deepcopy(wanted).to("npu")
    done = kernelize(found)
    assert set(done.kept) == ({"Gemma2MLP"} if name == "Gemma2" else set())
    a = wanted(tokens(), labels=tokens())
    reset_calls()
    b = found(tokens().npu(), labels=tokens().npu())
    assert largest_difference(b.logits, a.logits) < 3e-6
    assert calls().ran == CALLS[name]
    assert calls().fell_back == {}
    a.loss.backward()
    b.loss.backward()
    for (parameter, p), q in zip(wanted.named_parameters(), found.parameters(), strict=True):
        if p.grad is not None:
            difference = (q.grad.cpu() - p.grad).abs().max()
            assert difference < 3e-5 * max(p.grad.abs().max(), 1e-3), parameter


@npu
def test_norms_are_bitwise_equal_in_bfloat16() -> None:
    from ascend_ops.integrations.transformers import kernelize

    generator = torch.Generator().manual_seed(0)
    x = torch.randn(64, 32, generator=generator).bfloat16()
    for name in ("Llama", "Gemma2", "GptOss", "T5"):
        model = eager(name).bfloat16()
        norm = next(m for m in model.modules() if type(m).__name__.endswith(("Norm", "LayerNorm")))
        expected = norm(x)
        kernelize(model.to("npu"))
        assert torch.equal(norm(x.npu()).cpu(), expected), name


def test_models_without_known_layers_are_refused() -> None:
    from ascend_ops.integrations.transformers import kernelize

    with pytest.raises(ValueError, match=r"model must have RMS norms.*got BertForMaskedLM"):
        kernelize(eager("Bert"))


def test_layers_that_compute_something_else_are_kept_and_named(
    caplog: pytest.LogCaptureFixture,
) -> None:
    from transformers.models.llama.modeling_llama import LlamaRMSNorm

    from ascend_ops.integrations.transformers import kernelize

    class OddRMSNorm(LlamaRMSNorm):
        def forward(self, hidden_states):
            return 2 * super().forward(hidden_states)

    model = eager("Llama")
    model.model.norm = OddRMSNorm(32)
    with caplog.at_level(logging.WARNING):
        done = kernelize(model)
    assert done.replaced == {"rms_norm": 4, "rotary_embedding": 2, "swiglu": 2}
    assert list(done.kept) == ["OddRMSNorm"]
    assert "kernelize() keeps OddRMSNorm" in caplog.text


@npu
def test_the_mapping_of_kernels() -> None:
    kernels = pytest.importorskip("kernels", reason="kernels is not installed")
    from transformers.models.llama.modeling_llama import LlamaMLP, LlamaRMSNorm

    from ascend_ops.integrations.transformers import calls, register, reset_calls

    register()
    kernels.replace_kernel_forward_from_hub(LlamaRMSNorm, "RMSNorm")
    kernels.replace_kernel_forward_from_hub(LlamaMLP, "SwiGLUMLP")
    wanted = eager("Llama").eval()
    found = copy.deepcopy(wanted).to("npu")
    kernels.kernelize(found, mode=kernels.Mode.INFERENCE, device="npu")
    expected = wanted(tokens()).logits
    reset_calls()
    assert largest_difference(found(tokens().npu()).logits, expected) < 3e-6
    assert calls().ran == {"rms_norm": 5, "silu_mul": 2}


@npu
@pytest.mark.parametrize("name", ["Llama", "Gemma2"])
def test_kernels_kernelize_replaces_layers_of_a_stock_model(
    name: str, caplog: pytest.LogCaptureFixture
) -> None:
    """Transformers marks no layer for a version of kernels that it does not accept."""
    kernels = pytest.importorskip("kernels", reason="kernels is not installed")
    from transformers.utils.import_utils import is_kernels_available

    from ascend_ops.integrations.transformers import calls, register, reset_calls

    if is_kernels_available():
        pytest.skip("Transformers accepts this version of kernels and marks layers itself")
    with caplog.at_level(logging.WARNING):
        register()  # before the modeling file is imported
    assert "use_kernels=True raises" in caplog.text
    wanted = eager(name).eval()
    found = copy.deepcopy(wanted).to("npu")
    kernels.kernelize(found, mode=kernels.Mode.INFERENCE, device="npu")
    expected = wanted(tokens()).logits
    reset_calls()
    assert largest_difference(found(tokens().npu()).logits, expected) < 3e-6
    of_norms_and_mlps = {key: CALLS[name].get(key) for key in ("rms_norm", "silu_mul")}
    assert calls().ran == {key: n for key, n in of_norms_and_mlps.items() if n}
    assert calls().fell_back == {}


@npu
@pytest.mark.parametrize("name", ["GptOss", "Qwen3Moe"])
def test_experts(name: str) -> None:
    from ascend_ops.integrations.transformers import calls, reset_calls

    wanted = eager(name)
    found = ours(wanted)
    found.set_experts_implementation("ascend_ops")
    a = wanted(tokens(), labels=tokens())
    reset_calls()
    b = found(tokens().npu(), labels=tokens().npu())
    assert largest_difference(b.logits, a.logits) < 3e-6
    assert calls().ran["grouped_matmul"] == 4
    assert calls().fell_back == {}
    a.loss.backward()
    b.loss.backward()
    for (parameter, p), q in zip(wanted.named_parameters(), found.parameters(), strict=True):
        if p.grad is not None:
            difference = (q.grad.cpu() - p.grad).abs().max()
            assert difference < 3e-5 * max(p.grad.abs().max(), 1e-3), parameter
    layer = next(m for m in found.modules() if hasattr(m, "_is_expert_parallel"))
    layer._is_expert_parallel = True
    with pytest.raises(ValueError, match=r"experts_implementation must be .* got 'ascend_ops'"):
        found(tokens().npu())
