"""attn_implementation="ascend_ops" on the emulated NPU, against eager attention on the CPU."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

pytest.importorskip("transformers", reason="Transformers is not installed")

from transformers_models import (
    ENCODER_DECODERS,
    eager,
    largest_difference,
    on_npu,
    ours,
    padded,
    tokens,
)

from ascend_ops.attention.fallback import NO_GRADIENT_OF_A_BIAS, NO_SOFTCAP

npu = pytest.mark.npu
NAMES = ["Llama", "Mistral", "Qwen3", "GPT2", "Bert", "Bart", "T5", "Gemma2", "GptOss"]
BOUND = 1e-6  # of the largest logit, in fp32
#: What aclnn cannot compute, and why.
REASONS = {
    "Gemma2": f"flash_attention: {NO_SOFTCAP}",
    "T5": f"flash_attention: {NO_GRADIENT_OF_A_BIAS}",
}


def inputs_for(name: str, side: str | None) -> dict[str, torch.Tensor]:
    inputs = {"input_ids": tokens()}
    if side is not None:
        inputs["attention_mask"] = padded(side)
    if name in ENCODER_DECODERS:
        inputs["labels"] = tokens(length=5)
    else:
        hidden = padded(side) == 0
        hidden[:, 1:] |= hidden[:, :-1].clone()  # these labels are what padding tokens predict
        inputs["labels"] = tokens().masked_fill(hidden, -100)
    return inputs


@npu
@pytest.mark.parametrize("name", NAMES)
def test_logits_and_gradients_equal_eager(name: str) -> None:
    from ascend_ops.integrations.transformers import calls, reset_calls

    wanted = eager(name)
    found = ours(wanted)
    reset_calls()
    for side in (None, "left", "right"):
        inputs = inputs_for(name, side)
        a, b = wanted(**inputs), found(**on_npu(inputs))
        keep = torch.ones(2, 5) if name in ENCODER_DECODERS else padded(side)
        assert largest_difference(b.logits.cpu()[keep.bool()], a.logits[keep.bool()]) < BOUND, side
        a.loss.backward()
        b.loss.backward()
    for (parameter, p), q in zip(wanted.named_parameters(), found.parameters(), strict=True):
        if p.grad is not None:  # the exact gradient of a bias of keys is 0
            difference = (q.grad.cpu() - p.grad).abs().max()
            assert difference < 30 * BOUND * max(p.grad.abs().max(), 1e-3), parameter
    counted = calls()
    assert set(counted.fell_back) == ({REASONS[name]} if name in REASONS else set())
    assert name == "Gemma2" or counted.ran["flash_attention"] >= 6


GENERATION: dict[str, dict[str, Any]] = {
    "greedy": {},
    "beams": {"num_beams": 2},
    "static cache": {"cache_implementation": "static"},
    "chunked prefill": {"prefill_chunk_size": 4},
}


@npu
@pytest.mark.parametrize("name", ["Llama", "Mistral", "Bart", "T5", "Gemma2", "GptOss"])
def test_generation_equals_eager(name: str) -> None:
    from ascend_ops.integrations.transformers import calls, reset_calls

    wanted = eager(name).eval()
    found = ours(wanted)
    inputs = {"input_ids": tokens(), "attention_mask": padded("left")}
    for how, options in GENERATION.items():
        if how == "chunked prefill" and name in ENCODER_DECODERS:
            continue
        chosen = {**options, "max_new_tokens": 6, "min_new_tokens": 6, "do_sample": False}
        reset_calls()
        a = wanted.generate(**inputs, **chosen)
        b = found.generate(**on_npu(inputs), **chosen)
        assert b.tolist() == a.tolist(), how
        counted = calls()
        assert set(counted.fell_back) <= {REASONS["Gemma2"]}
        assert sum(counted.ran.values()) + sum(counted.fell_back.values()) >= 12, how


class CountsReads(TorchDispatchMode):
    """Counts what makes the host wait for the device."""

    reads = 0

    def __torch_dispatch__(self, function, types, arguments=(), options=None):
        name = function.overloadpacket.__name__
        to = (options or {}).get("device")
        if name in ("_local_scalar_dense", "nonzero") or (to is not None and to.type == "cpu"):
            self.reads += any(
                isinstance(x, torch.Tensor) and x.device.type == "npu" for x in arguments
            )
        return function(*arguments, **(options or {}))


@npu
@pytest.mark.parametrize("name", ["Llama", "Mistral"])
def test_packed_sequences_are_kept_apart_without_a_read_per_layer(name: str) -> None:
    from ascend_ops.integrations.transformers import calls, reset_calls

    reads = []
    for layers in (1, 4):
        wanted = eager(name, num_hidden_layers=layers)
        found = ours(wanted)
        whole = tokens(rows=1, length=11)
        parts = whole.split((5, 4, 2), 1)
        places = torch.cat([torch.arange(part.shape[1]) for part in parts])[None]
        alone = torch.cat([wanted(part).logits for part in parts], 1)
        inputs = on_npu({"input_ids": whole, "position_ids": places})
        reset_calls()
        with CountsReads() as counted:
            result = found(**inputs, use_cache=False).logits
        reads.append(counted.reads)
        assert largest_difference(result, alone) < BOUND
        assert calls().ran == {"flash_attention_varlen": layers}
    assert reads[0] == reads[1] > 0


@npu
def test_lengths_that_the_caller_passes_are_read_once() -> None:
    from ascend_ops.integrations.transformers import calls, reset_calls

    wanted = eager("Llama", num_hidden_layers=3)
    whole = tokens(rows=1, length=11)
    places = torch.cat([torch.arange(n) for n in (5, 6)])[None]
    alone = torch.cat([wanted(part).logits for part in whole.split((5, 6), 1)], 1)
    lengths = torch.tensor([0, 5, 11], dtype=torch.int32, device="npu")
    found = ours(wanted)
    inputs = on_npu({"input_ids": whole, "position_ids": places})
    reset_calls()
    result = found(**inputs, use_cache=False, cu_seq_lens_q=lengths, cu_seq_lens_k=lengths).logits
    assert largest_difference(result, alone) < BOUND
    assert calls().ran == {"flash_attention_varlen": 3}


@npu
def test_masks_of_the_user() -> None:
    wanted = eager("Llama").eval()
    found = ours(wanted)
    seen = torch.ones(9, 9).tril().bool()
    seen[5:, 1] = False
    floats = torch.zeros(9, 9).masked_fill(~seen, torch.finfo(torch.float32).min)[None, None]
    floats[..., 2] += 0.5
    for mask in (seen[None, None].expand(2, 1, 9, 9), floats):
        additive = mask
        if mask.dtype is torch.bool:
            additive = torch.zeros(mask.shape).masked_fill(~mask, torch.finfo(torch.float32).min)
        expected = wanted(tokens(), attention_mask=additive).logits
        result = found(tokens().npu(), attention_mask=mask.npu()).logits
        assert largest_difference(result, expected) < BOUND


@npu
def test_bfloat16() -> None:
    for name in ("Llama", "GptOss", "T5"):
        wanted = eager(name).eval()
        found = ours(wanted).to(torch.bfloat16)
        inputs = inputs_for(name, "left")
        expected, result = wanted(**inputs).logits, found(**on_npu(inputs)).logits.float()
        keep = torch.ones(2, 5) if name in ENCODER_DECODERS else padded("left")
        assert largest_difference(result.cpu()[keep.bool()], expected[keep.bool()]) < 0.05, name


@npu
def test_unsupported_arguments_are_refused_by_name() -> None:
    found = ours(eager("Llama").eval())
    with pytest.raises(ValueError, match="output_attentions must be False"):
        found(tokens().npu(), output_attentions=True)
    with pytest.raises(ValueError, match="block_table must be None"):
        found(tokens().npu(), block_table=torch.zeros(1))


def test_on_the_cpu_the_reference_implementation_runs_and_is_counted() -> None:
    from ascend_ops.integrations.transformers import calls, register, reset_calls

    register()
    wanted = eager("Llama").eval()
    expected = wanted(tokens()).logits
    wanted.set_attn_implementation("ascend_ops")
    reset_calls()
    assert largest_difference(wanted(tokens()).logits, expected) < BOUND
    assert calls().ran == {}
    assert calls().fell_back == {
        "flash_attention: the tensors are on cpu, not on an NPU": 2,
    }
