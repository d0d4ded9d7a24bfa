"""An argument that must be a tensor and is not one raises TypeError, whatever the op."""

from __future__ import annotations

import inspect

import pytest
from op_calls import calls, public_ops

#: Positions of tensors that may be None.
OPTIONAL = {("layer_norm", 1), ("layer_norm", 2), ("grouped_matmul", 2)}


@pytest.mark.parametrize("wrong", [None, 1.5, [1.0, 2.0]])
@pytest.mark.parametrize("op", public_ops())
def test_an_argument_that_is_not_a_tensor_is_a_type_error(op, wrong):
    function, tensors = calls()[op]
    for position in range(len(tensors)):
        arguments = [wrong if i == position else x for i, x in enumerate(tensors)]
        if wrong is None and (op, position) in OPTIONAL:
            continue
        message = r"^\w+(\[0\])? must be a tensor, got (NoneType|float|list)$"
        with pytest.raises(TypeError, match=message):
            function(*arguments)


def test_other_attribute_errors_and_the_signature_stay():
    from ascend_ops import gelu
    from ascend_ops.dispatch.public import public_op

    @public_op
    def broken(x: object) -> None:
        raise AttributeError("its own")

    with pytest.raises(AttributeError, match="its own"):
        broken(None)
    assert list(inspect.signature(gelu).parameters) == ["x", "approximate"]


def test_lengths_that_are_none_are_a_type_error():
    import torch

    from ascend_ops import flash_attention_varlen

    with pytest.raises(TypeError, match="cu_seqlens_q must be a list or a tensor, got None"):
        flash_attention_varlen(*torch.ones(3, 2, 1, 8), None, [0, 2])
