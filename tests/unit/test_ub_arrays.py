"""Arrays of UB become references, and nothing else that has the same words does."""

from __future__ import annotations

import pytest

from ascend_ops.emulator.bisheng.ub_arrays import declares_ub_arrays, place_ub_arrays


@pytest.mark.parametrize(
    ("declared", "placed"),
    [
        ("__ubuf__ float x[n];", '__ubuf__ float (&x)[n] = ::aicore::UbArray("x");'),
        (
            "__ubuf__ half x[8], y[2][n * sizeof(half)];",
            '__ubuf__ half (&x)[8] = ::aicore::UbArray("x"), '
            '(&y)[2][n * sizeof(half)] = ::aicore::UbArray("y");',
        ),
        (
            "__ubuf__ Pair<half, 2>\n    pairs[count(3, 4)];",
            '__ubuf__ Pair<half, 2>\n    (&pairs)[count(3, 4)] = ::aicore::UbArray("pairs");',
        ),
    ],
)
def test_an_array_of_ub_is_a_reference(declared: str, placed: str) -> None:
    assert declares_ub_arrays(declared)
    assert place_ub_arrays(f"{{ {declared} }}") == f"{{ {placed} }}"


def test_lines_stay_where_they_are() -> None:
    text = "__ubuf__ uint8_t\n    x[64];\nint y[2];\n"
    assert place_ub_arrays(text).count("\n") == text.count("\n")


@pytest.mark.parametrize(
    "text",
    [
        "__ubuf__ float* p[4];",
        "__ubuf__ float* p = x;",
        "void f(__ubuf__ float x[4], int n);",
        "void f(__ubuf__ half* x) { x[4] = 1; }",
        "auto y = (__ubuf__ float*)x[3];",
        "float x[4];",
    ],
)
def test_pointers_and_parameters_stay(text: str) -> None:
    assert not declares_ub_arrays(text)
    assert place_ub_arrays(text) == text
