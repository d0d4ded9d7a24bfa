"""attn_implementation="ascend_ops" under torch.compile, autocast and DistributedDataParallel."""

from __future__ import annotations

import pytest
import torch
from ranks import run_ranks

pytest.importorskip("transformers", reason="Transformers is not installed")

from transformers_models import eager, largest_difference, on_npu, ours, padded, tokens

npu = pytest.mark.npu
#: Causal, with a sliding window, bidirectional, with a position bias.
NAMES = ["Llama", "Mistral", "Bert", "T5"]


def inputs_for(name: str) -> dict[str, torch.Tensor]:
    inputs = {"input_ids": tokens(), "attention_mask": padded("right")}
    return {**inputs, "labels": tokens(length=5)} if name == "T5" else inputs


def seen(name: str, logits: torch.Tensor) -> torch.Tensor:
    """Return the logits of tokens that are not padding."""
    return logits if name == "T5" else logits[padded("right").bool().to(logits.device)]


@npu
@pytest.mark.parametrize("name", NAMES)
def test_a_compiled_model_is_one_graph_and_equals_eager(name: str) -> None:
    wanted = eager(name)
    found = ours(wanted)
    compiled = torch.compile(found, backend="aot_eager", fullgraph=True)
    inputs = inputs_for(name)
    options = {} if name == "Bert" else {"use_cache": False}
    a, b = (
        seen(name, model(**some, **options).logits)
        for model, some in ((wanted, inputs), (compiled, on_npu(inputs)))
    )
    assert largest_difference(b, a) < 1e-6
    a.square().sum().backward()
    b.square().sum().backward()
    largest = max(p.grad.abs().max() for p in wanted.parameters() if p.grad is not None)
    for (parameter, p), q in zip(wanted.named_parameters(), found.parameters(), strict=True):
        if p.grad is not None:  # the exact gradient of a bias of keys is 0
            difference = (q.grad.cpu() - p.grad).abs().max()
            assert difference < 1e-5 * max(p.grad.abs().max(), 1e-2 * largest), parameter


@npu
@pytest.mark.parametrize("name", ["Llama", "T5"])
def test_autocast_is_as_close_to_fp32_as_eager(name: str) -> None:
    from ascend_ops.integrations.transformers import calls, reset_calls

    wanted = eager(name)
    found = ours(wanted)
    inputs = inputs_for(name)
    exact = seen(name, wanted(**inputs).logits)
    for dtype in (torch.bfloat16, torch.float16):
        with torch.autocast("cpu", dtype=dtype):
            a = seen(name, wanted(**inputs).logits)
        reset_calls()
        with torch.autocast("npu", dtype=dtype):
            b = seen(name, found(**on_npu(inputs)).logits)
        assert b.dtype is a.dtype is dtype
        assert calls().ran["flash_attention"] >= 2
        assert largest_difference(b, exact) < 2 * largest_difference(a, exact)
        b.float().square().sum().backward()
        assert all(p.grad.isfinite().all() for p in found.parameters() if p.grad is not None)


@npu
@pytest.mark.parametrize("is_compiled", [False, True], ids=["", "compiled"])
def test_two_ranks_have_the_gradients_of_both_batches(is_compiled: bool) -> None:
    def train(rank: int, size: int) -> None:
        wanted = eager("Llama")
        model = ours(wanted)
        for rows in tokens(rows=2 * size).chunk(size):
            (wanted(rows, labels=rows).loss / size).backward()
        parallel = torch.nn.parallel.DistributedDataParallel(model, device_ids=[rank])
        if is_compiled:
            parallel = torch.compile(parallel, backend="aot_eager")
        rows = tokens(rows=2 * size).chunk(size)[rank].npu()
        parallel(rows, labels=rows, use_cache=False).loss.backward()
        for (name, p), q in zip(wanted.named_parameters(), model.parameters(), strict=True):
            difference = (q.grad.cpu() - p.grad).abs().max()
            assert difference < 1e-5 * p.grad.abs().max(), name

    assert run_ranks(2, train) == {0: 0, 1: 0}
