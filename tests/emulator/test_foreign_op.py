"""An op outside this package that calls aclnn through op-plugin's macro, built and run."""

from __future__ import annotations

from pathlib import Path

import pytest

EXAMPLES = Path(__file__).resolve().parents[2] / "examples" / "external_ops"


@pytest.mark.npu
def test_an_op_with_exec_npu_cmd_is_built_against_the_wheel_and_runs(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """op-plugin's headers require folders and a macro that NpuExtension does not pass."""
    import torch

    monkeypatch.syspath_prepend(EXAMPLES)
    from example_ops.scaled_add import ScaledAddBuilder, scaled_add

    x, y = torch.randn(5, 7), torch.randn(5, 7)
    torch.testing.assert_close(scaled_add(x.npu(), y.npu(), alpha=0.5).cpu(), x + 0.5 * y)
    assert ScaledAddBuilder().load().__name__ == "scaled_add"
    with pytest.raises(RuntimeError, match="must have the same shape"):
        scaled_add(x.npu(), y.t().npu())
