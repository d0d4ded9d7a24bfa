"""Trains a tiny Llama with Transformers' Trainer, without and with ZeRO-2 offload on these ops.

Its argument is a folder for the Trainer. It prints the losses of both, and the calls of our ops.
"""

from __future__ import annotations

import json
import sys
from typing import Any

import torch

CONFIG = {
    "train_micro_batch_size_per_gpu": "auto",
    "gradient_clipping": "auto",
    "optimizer": {"type": "AdamW", "params": {"lr": "auto", "weight_decay": "auto"}},
    "zero_optimization": {"stage": 2, "offload_optimizer": {"device": "cpu"}},
}


def losses_of(folder: str, model: Any, **options: Any) -> list[float]:
    """Return the losses of three steps of the Trainer."""
    from transformers import Trainer, TrainingArguments

    rows = torch.randint(3, 64, (12, 9), generator=torch.Generator().manual_seed(1))
    arguments = TrainingArguments(
        output_dir=folder,
        max_steps=3,
        per_device_train_batch_size=4,
        learning_rate=1e-2,
        weight_decay=0.0,  # with DeepSpeed, it would decay norms, too
        logging_steps=1,
        report_to=[],
        save_strategy="no",
        disable_tqdm=True,
        **options,
    )
    data = [{"input_ids": row, "labels": row} for row in rows]
    trainer = Trainer(model, arguments, train_dataset=data)
    trainer.train()
    return [entry["loss"] for entry in trainer.state.log_history if "loss" in entry]


def main() -> None:
    import torch_npu  # noqa: F401
    from accelerate.state import AcceleratorState
    from transformers_models import eager, ours

    from ascend_ops.integrations import deepspeed
    from ascend_ops.integrations.transformers import calls, kernelize

    wanted = losses_of(sys.argv[1], eager("Llama"), optim="adamw_torch")
    AcceleratorState._reset_state(reset_partial_state=True)
    model = ours(eager("Llama"))
    kernelize(model)
    losses = losses_of(sys.argv[1], model, deepspeed=CONFIG)
    counts = {"ran": calls().ran, "deepspeed": deepspeed.calls()}
    found = {"losses": losses, "wanted": wanted, **counts}
    sys.stdout.write(f"\nRESULT {json.dumps({'rank': 0, **found})}\n")


if __name__ == "__main__":
    main()
