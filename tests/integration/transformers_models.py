"""Tiny random models of Transformers, on the CPU with eager attention and on the NPU with ours."""

from __future__ import annotations

import copy
from typing import Any

import torch

_SIZES = {
    "vocab_size": 64,
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "max_position_embeddings": 64,
}
_GROUPED = {"num_key_value_heads": 2, "head_dim": 8}
_BART = {
    "vocab_size": 64,
    "d_model": 32,
    **{f"{side}_{what}": n for side in ("encoder", "decoder")
       for what, n in (("layers", 2), ("attention_heads", 4), ("ffn_dim", 48))},
    "max_position_embeddings": 64,
    "activation_function": "relu",
}  # fmt: skip
#: The class of the model and the options of its configuration.
MODELS: dict[str, tuple[str, dict[str, Any]]] = {
    "Llama": ("LlamaForCausalLM", {**_SIZES, **_GROUPED}),
    "Mistral": ("MistralForCausalLM", {**_SIZES, **_GROUPED, "sliding_window": 4}),
    "Qwen3": ("Qwen3ForCausalLM", {**_SIZES, **_GROUPED}),
    "GPT2": ("GPT2LMHeadModel", {"vocab_size": 64, "n_embd": 32, "n_layer": 2, "n_head": 4}),
    # ReLU, since the GELU of NPUs is the approximation by tanh, 5e-4 from torch's on the CPU.
    "Bert": ("BertForMaskedLM", {**_SIZES, "hidden_act": "relu"}),
    "Bart": ("BartForConditionalGeneration", _BART),
    "T5": (
        "T5ForConditionalGeneration",
        {"vocab_size": 64, "d_model": 32, "d_kv": 8, "d_ff": 48, "num_layers": 2, "num_heads": 4},
    ),
    "Gemma2": (
        "Gemma2ForCausalLM",
        {**_SIZES, **_GROUPED, "sliding_window": 4, "query_pre_attn_scalar": 8},
    ),
    "GptOss": (
        "GptOssForCausalLM",
        {**_SIZES, **_GROUPED, "sliding_window": 4, "num_local_experts": 4,
         "num_experts_per_tok": 2},
    ),
    "Qwen3Moe": (
        "Qwen3MoeForCausalLM",
        {**_SIZES, **_GROUPED, "moe_intermediate_size": 16, "num_experts": 4,
         "num_experts_per_tok": 2},
    ),
}  # fmt: skip
ENCODER_DECODERS = ("Bart", "T5")


def eager(name: str, **options: Any) -> Any:
    """Return a model on the CPU, without dropout."""
    import transformers

    kind, sizes = MODELS[name]
    config = getattr(transformers, f"{name}Config")(
        **{**sizes, "bos_token_id": 0, "eos_token_id": 1, "pad_token_id": 2, **options}
    )
    for dropout in ("attention_dropout", "dropout", "dropout_rate", "attn_pdrop", "embd_pdrop"):
        setattr(config, dropout, 0.0)
    config.resid_pdrop = config.hidden_dropout_prob = config.attention_probs_dropout_prob = 0.0
    config._experts_implementation = "eager"
    if name in ENCODER_DECODERS:
        config.decoder_start_token_id = 0
    torch.manual_seed(0)
    model = getattr(transformers, kind)._from_config(config, attn_implementation="eager")
    with torch.no_grad():
        for parameter in model.parameters():  # larger than the default, so that masks matter
            parameter.normal_(0.0, 0.2) if parameter.dim() > 1 else parameter.normal_(0.5, 0.2)
    return model


def ours(model: Any) -> Any:
    """Return a copy of the model on the NPU with our attention."""
    from ascend_ops.integrations.transformers import register

    register()
    moved = copy.deepcopy(model).to("npu")
    moved.set_attn_implementation("ascend_ops")
    return moved


def tokens(rows: int = 2, length: int = 9) -> torch.Tensor:
    generator = torch.Generator().manual_seed(1)
    return torch.randint(3, 64, (rows, length), generator=generator)


def padded(side: str | None, rows: int = 2, length: int = 9) -> torch.Tensor:
    """Return an attention mask with three padding tokens in the last row."""
    mask = torch.ones(rows, length, dtype=torch.long)
    if side == "left":
        mask[-1, :3] = 0
    elif side == "right":
        mask[-1, -3:] = 0
    return mask


def on_npu(inputs: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    return {name: tensor.to("npu") for name, tensor in inputs.items()}


def largest_difference(found: torch.Tensor, wanted: torch.Tensor) -> float:
    """Return the largest difference relative to the largest value."""
    found, wanted = found.detach().cpu(), wanted.detach()
    return float((found - wanted).abs().max() / wanted.abs().max())
