"""Trainer with our optimizer, and PEFT and TRL with our attention, on the emulated NPU."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

pytest.importorskip("transformers", reason="Transformers is not installed")
pytest.importorskip("accelerate", reason="Accelerate, which the Trainer needs, is not installed")

from transformers_models import eager, ours, tokens

npu = pytest.mark.npu


class Rows(torch.utils.data.Dataset[dict[str, torch.Tensor]]):
    """Eight rows of tokens, which are also the labels."""

    rows = tokens(rows=8)

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, index: int) -> dict[str, torch.Tensor]:
        return {"input_ids": self.rows[index], "labels": self.rows[index]}


def options(folder: Path, **more: Any) -> dict[str, Any]:
    return {
        "output_dir": str(folder),
        "max_steps": 3,
        "per_device_train_batch_size": 4,
        "learning_rate": 1e-2,
        "weight_decay": 0.1,
        "logging_steps": 1,
        "report_to": [],
        "save_strategy": "no",
        "disable_tqdm": True,
        **more,
    }


def losses(trainer: Any) -> list[float]:
    trainer.train()
    return [entry["loss"] for entry in trainer.state.log_history if "loss" in entry]


@npu
def test_the_trainer_takes_our_optimizer_by_its_class(tmp_path: Path) -> None:
    from transformers import Trainer, TrainingArguments

    from ascend_ops import FusedAdamW
    from ascend_ops.integrations.transformers import calls, kernelize, reset_calls

    model = eager("Llama")
    found = ours(model)
    kernelize(found)
    reset_calls()
    trainer = Trainer(
        found,
        TrainingArguments(**options(tmp_path)),
        train_dataset=Rows(),
        optimizer_cls_and_kwargs=(FusedAdamW, {"lr": 1e-2}),
    )
    ours_of = losses(trainer)
    assert isinstance(getattr(trainer.optimizer, "optimizer", trainer.optimizer), FusedAdamW)
    counted = calls()
    assert counted.ran["flash_attention"] == 6
    assert counted.ran["rms_norm"] == 15
    assert counted.fell_back == {}
    expected = losses(
        Trainer(
            model.to("npu"),
            TrainingArguments(**options(tmp_path, optim="adamw_torch")),
            train_dataset=Rows(),
        )
    )
    assert len(ours_of) == 3
    assert ours_of == pytest.approx(expected, rel=1e-4)
    assert ours_of[-1] < ours_of[0]


@npu
def test_lora_of_peft(tmp_path: Path) -> None:
    peft = pytest.importorskip("peft", reason="PEFT is not installed")
    from ascend_ops import FusedAdamW
    from ascend_ops.integrations.transformers import calls, kernelize, reset_calls

    config = peft.LoraConfig(r=2, target_modules=["q_proj", "v_proj", "gate_proj"])
    model = peft.get_peft_model(ours(eager("Llama")), config)
    assert kernelize(model).replaced["rms_norm"] == 5
    optimizer = FusedAdamW([p for p in model.parameters() if p.requires_grad], lr=1e-2)
    batch = tokens().npu()
    reset_calls()
    found = []
    for _ in range(3):
        loss = model(batch, labels=batch).loss
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
        found.append(loss.item())
    assert found[-1] < found[0]
    assert calls().ran["flash_attention"] == calls().ran["silu_mul"] == 6
    assert calls().fell_back == {}


@npu
def test_supervised_fine_tuning_of_trl(tmp_path: Path) -> None:
    trl = pytest.importorskip("trl", reason="TRL is not installed")
    datasets = pytest.importorskip("datasets", reason="datasets is not installed")
    tokenizers = pytest.importorskip("tokenizers", reason="tokenizers is not installed")
    from transformers import PreTrainedTokenizerFast

    from ascend_ops.integrations.transformers import calls, reset_calls

    words = {f"w{i}": i for i in range(64)}
    raw = tokenizers.Tokenizer(tokenizers.models.WordLevel(words, unk_token="w3"))
    raw.pre_tokenizer = tokenizers.pre_tokenizers.Whitespace()
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=raw, eos_token="w1", pad_token="w2", unk_token="w3"
    )
    rows = [{"input_ids": row.tolist()} for row in tokens(rows=8)]
    reset_calls()
    trainer = trl.SFTTrainer(
        model=ours(eager("Llama")),
        args=trl.SFTConfig(
            **options(tmp_path), max_length=16, bf16=False, gradient_checkpointing=False
        ),
        train_dataset=datasets.Dataset.from_list(rows),
        processing_class=tokenizer,
    )
    found = losses(trainer)
    assert len(found) == 3
    assert found[-1] < found[0]
    assert calls().ran["flash_attention"] == 6
