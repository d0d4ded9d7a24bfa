"""DeepSpeed's inference layers on this project's functions: op_binding and ``init_inference``."""

from __future__ import annotations

import importlib
import inspect
import pkgutil
import re
from collections.abc import Iterator
from importlib.util import find_spec
from typing import Any

import pytest
import torch

pytestmark = [
    *(
        pytest.mark.skipif(find_spec(name) is None, reason=f"{name} is not installed")
        for name in ("deepspeed", "transformers")  # without importing DeepSpeed before activate()
    ),
    pytest.mark.npu,
    pytest.mark.filterwarnings("error::ascend_ops.dispatch.npu_op.FallbackWarning"),
]

Tensor = torch.Tensor

_TOLERANCE = {torch.float32: 2e-5, torch.float16: 4e-3, torch.bfloat16: 3e-2}
_VOCABULARY, _PROMPT, _NEW = 97, 7, 5


@pytest.fixture
def counted() -> Any:
    """Make DeepSpeed use these ops; return their counter."""
    from ascend_ops.integrations import deepspeed

    assert deepspeed.activate()
    deepspeed.reset_calls()
    return deepspeed


def requested_names() -> set[str]:
    """Return the functions that op_binding looks up in the module."""
    from deepspeed.ops.transformer.inference import op_binding

    found: set[str] = set()
    for module in pkgutil.iter_modules(op_binding.__path__, f"{op_binding.__name__}."):
        source = inspect.getsource(importlib.import_module(module.name))
        found |= set(re.findall(r"self\.inference_module\.(\w+)", source))
        found |= set(re.findall(r'"(repeat_kv_cache_\w+)"', source))
    return found


def test_every_function_that_op_binding_looks_up_is_served(counted: Any) -> None:
    from deepspeed.ops.op_builder import InferenceBuilder

    module = InferenceBuilder().load()
    names = requested_names()
    assert len(names) >= 60  # a broken search would find few
    assert [name for name in sorted(names) if not hasattr(module, name)] == []
    assert getattr(module, "no_such_function", None) is None
    with pytest.raises(NotImplementedError, match="no_such_function is not implemented"):
        module.no_such_function(1)


def bound(dtype: torch.dtype, **options: Any) -> Any:
    from deepspeed.ops.transformer.inference.config import DeepSpeedInferenceConfig

    return DeepSpeedInferenceConfig(
        hidden_size=64, heads=4, dtype=dtype, layer_norm_eps=1e-5, mlp_act_func_type=1, **options
    )


def op_class(name: str) -> Any:
    """Return a class of op_binding, from whichever of its modules defines it."""
    from deepspeed.ops.transformer.inference import op_binding

    for module in pkgutil.iter_modules(op_binding.__path__, f"{op_binding.__name__}."):
        imported = importlib.import_module(module.name)
        if hasattr(imported, name):
            return getattr(imported, name)
    raise AttributeError(name)


def check(found: Any, wanted: Any, dtype: torch.dtype) -> None:
    found, wanted = (x if isinstance(x, tuple | list) else [x] for x in (found, wanted))
    for one, other in zip(found, wanted, strict=True):
        torch.testing.assert_close(one, other, rtol=_TOLERANCE[dtype], atol=_TOLERANCE[dtype])


@pytest.mark.parametrize("dtype", list(_TOLERANCE), ids=str)
def test_op_binding_computes_what_its_fallbacks_do(counted: Any, dtype: torch.dtype) -> None:
    from deepspeed.utils.types import ActivationFuncType, NormType

    torch.manual_seed(0)
    given = {"dtype": dtype, "device": "npu"}
    x, residual = torch.randn(2, 2, 3, 64, **given)
    gamma, beta, bias = torch.randn(3, 64, **given)
    config = bound(dtype)
    rms = bound(dtype, norm_type=NormType.RMSNorm)
    rms.mlp_act_func_type = ActivationFuncType.GATED_SILU
    norm, residual_add = op_class("LayerNormOp")(config), op_class("ResidualAddOp")(config)
    check(norm(x, gamma, beta, 1e-5), norm.layer_norm_fallback(x, gamma, beta, 1e-5), dtype)
    fused = norm.inference_module._layer_norm_residual(x, bias, residual, gamma, beta, 1e-5)
    check(fused, norm.layer_norm_residual(x, bias, residual, gamma, beta, 1e-5), dtype)
    rms_norm = op_class("RMSNormOp")()
    check(rms_norm(x, gamma, 1e-5), rms_norm.rms_norm_fallback(x, gamma, 1e-5), dtype)
    pre = op_class("PreRMSNormOp")()
    wanted = pre.pre_rms_norm_fallback(x, residual, gamma, 1e-5)
    check(pre(x, residual, gamma, 1e-5), wanted, dtype)
    for op in map(op_class, ("BiasGeluOp", "BiasReluOp", "BiasAddOp")):
        fallback = next(getattr(op, name) for name in vars(op) if name.endswith("_fallback"))
        check(op(config)(x, bias), fallback(x, bias), dtype)
    gated = op_class("GatedActivationOp")(config)
    for kind in (ActivationFuncType.GATED_GELU, ActivationFuncType.GATED_SILU):
        # torch's gelu on Atlas A2 is the tanh approximation, which only mlp_gemm's kernel computes.
        wanted = gated.gated_activation_fallback(x.cpu(), bias.cpu(), kind).npu()
        check(gated(x, bias, kind), wanted, dtype)
    add = op_class("VectorAddOp")()
    check(add(x, residual, 0.5), add.vector_add_fallback(x, residual, 0.5), dtype)
    into, wanted = residual.clone(), residual.clone()
    residual_add(x.clone(), into, True, x, None, bias, beta)
    residual_add.residual_add_fallback(x.clone(), wanted, x, bias, beta, 1, True, True, True)
    check(into, wanted, dtype)
    weight, first, second = (torch.randn(*n, **given) / 8 for n in ((64, 96), (64, 128), (64, 64)))
    none = torch.empty(1)
    qkv = op_class("QKVGemmOp")(config)
    shared = (x, weight, none)
    wanted = qkv.qkv_gemm_fallback(
        *shared, torch.cat((bias, beta))[:96], gamma, beta, 1e-5, True, False, False
    )
    check(qkv(x, weight, torch.cat((bias, beta))[:96], gamma, beta), wanted, dtype)
    qkv = op_class("QKVGemmOp")(rms)
    wanted = qkv.rms_qkv_gemm_fallback(*shared, gamma, 1e-5, False, False)
    check(qkv(x, weight, None, gamma, beta), wanted, dtype)
    mlp = op_class("MLPGemmOp")(config)
    wanted = mlp.mlp_gemm_fallback(
        x, residual, bias, second, second, beta, gamma, beta, 1e-5, True, True, none, none,
        False, 1, False,
    )  # fmt: skip
    check(mlp(x, residual, second, second, bias, beta, gamma, beta), wanted, dtype)
    mlp = op_class("MLPGemmOp")(rms)
    wanted = mlp.rms_mlp_gemm_fallback(
        x, residual, first, second, gamma, 1e-5, none, none, False, rms.mlp_act_func_type, False
    )
    check(mlp(x, residual, first, second, gamma=gamma), wanted, dtype)
    gemm = op_class("GELUGemmOp")(config)
    wanted = gemm.gelu_gemm_fallback(x, second, none, bias, second, none, False, False)
    check(gemm(x, second, bias, second), wanted, dtype)
    matmul = op_class("VectorMatMulOp")(config)
    wanted = matmul.vector_matmul_fallback(x, weight, False, none, False, False)
    check(matmul(x, weight), wanted, dtype)
    check_attention(config, x, dtype)
    ran = {name.removeprefix("transformer_inference.") for name in counted.calls()}
    assert {"rms_norm", "pre_rms_norm", "gated_activation", "_vector_add"} <= ran
    assert len(ran) >= 18


def check_attention(config: Any, x: Tensor, dtype: torch.dtype) -> None:
    softmax = op_class("SoftmaxOp")(config)
    scores = torch.randn(2, 4, 3, 3, dtype=dtype, device=x.device)
    arguments = (None, None, True, False, False, 1, False, 0.5, 0)
    wanted = softmax.softmax_fallback(scores.clone(), *arguments, 1)
    check(softmax(scores, torch.empty(1), torch.empty(1), *arguments[2:]), wanted, dtype)
    context = op_class("SoftmaxContextOp")(config)
    workspace = op_class("WorkspaceOp")(config)
    sizes = (64, 4, 3, 2, 1, 1, False, 0, 8, 1)
    workspace.allocate_workspace(*sizes)
    op_class("InferenceContext").Instance().gen_workspace(1, 4, 2, 3, 64, 1, False, dtype, 0, 8, 1)
    options = (-1, False, False, 4, -1, 0.5, True, False, 256, True, 0, 1, None, 1e4)
    for count in (3, 1, 1):
        qkv = torch.randn(2, count, 192, dtype=dtype, device=x.device)
        wanted = context.softmax_context_fallback(qkv, None, *options, count > 1, None, None)
        found = context(qkv, torch.empty(1), 4, -1, 0.5, True, 0, 1, None, count > 1, None, None)
        check(found, wanted, dtype)
    workspace.reset_cache()
    workspace.release_workspace()
    assert workspace.retake_workspace()


def models() -> Iterator[tuple[str, Any]]:
    import transformers

    common = {"num_hidden_layers": 2, "num_attention_heads": 4, "hidden_size": 64}
    common |= {"vocab_size": _VOCABULARY, "max_position_embeddings": 64, "eos_token_id": None}
    torch.manual_seed(0)
    config = transformers.GPT2Config(**common)
    yield "gpt2", transformers.GPT2LMHeadModel(config)
    config = transformers.LlamaConfig(**common, intermediate_size=128)
    yield "llama", transformers.LlamaForCausalLM(config)
    config = transformers.OPTConfig(**common, ffn_dim=256, word_embed_proj_dim=64)
    yield "opt", transformers.OPTForCausalLM(config)


def layers_of(model: Any) -> Any:
    decoder = model.transformer if hasattr(model, "transformer") else model.model
    decoder = getattr(decoder, "decoder", decoder)
    return decoder.h if hasattr(decoder, "h") else decoder.layers


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=str)
def test_injected_models_generate_what_they_did_before(counted: Any, dtype: torch.dtype) -> None:
    import deepspeed

    for name, model in models():
        if dtype != torch.float32 and name != "llama":  # one model is enough for another dtype
            continue
        model.eval().to(dtype).float()  # with weights that are exact in dtype
        tokens = torch.randint(1, _VOCABULARY, (2, _PROMPT))
        padded = torch.ones_like(tokens)
        padded[1, :2] = 0
        generate = {"max_new_tokens": _NEW, "do_sample": False, "pad_token_id": 0}
        with torch.no_grad():
            wanted = model(tokens, attention_mask=padded).logits
            written = model.generate(tokens, **generate)
            hidden = model(written, output_hidden_states=True).hidden_states
        counted.reset_calls()
        engine = deepspeed.init_inference(
            model, dtype=dtype, replace_with_kernel_inject=True, return_tuple=False,
            max_out_tokens=32,
        )  # fmt: skip
        given = {"attention_mask": padded.npu(), "use_cache": False}
        with torch.no_grad():
            found = engine(tokens.npu(), **given).logits.cpu().float()
            tolerance = 1e-4 if dtype == torch.float32 else 6e-2
            real = padded.bool()
            torch.testing.assert_close(found[real], wanted[real], rtol=tolerance, atol=tolerance)
            if dtype == torch.float32:
                again = engine.generate(tokens.npu(), use_cache=False, **generate)
                assert again.tolist() == written.tolist(), name
            check_steps(engine.module, hidden, dtype, tolerance)
        calls = counted.calls()
        attention = calls[f"transformer_inference.softmax_context_{_suffix(dtype)}"]
        steps = 1 + (_NEW if dtype == torch.float32 else 0) + 1 + _NEW
        assert attention == 2 * steps, calls
        norm = "rms_" if name == "llama" else ""
        for product in ("qkv_gemm", "mlp_gemm"):
            assert calls[f"transformer_inference.{norm}{product}_{_suffix(dtype)}"] == attention


def _suffix(dtype: torch.dtype) -> str:
    return {torch.float32: "fp32", torch.bfloat16: "bf16"}[dtype]


def check_steps(model: Any, hidden: Any, dtype: torch.dtype, tolerance: float) -> None:
    """Run a prompt and single tokens through the layers; compare with all tokens at once."""
    from deepspeed.model_implementations.transformers.ds_transformer import (
        DeepSpeedTransformerInference,
    )

    DeepSpeedTransformerInference.reset_cache()
    layers = layers_of(model)
    rows = hidden[0].to(dtype).npu()
    places = [slice(0, _PROMPT), *(slice(i, i + 1) for i in range(_PROMPT, _PROMPT + _NEW))]
    found = []
    for place in places:
        state = rows[:, place]
        first = layers[0](state)
        found.append(first.clone())  # the next layer adds to it in place
        for layer in layers[1:]:
            first = layer(first)
    made = torch.cat(found, 1).cpu().float()
    torch.testing.assert_close(made, hidden[1], rtol=tolerance, atol=tolerance)
