"""Errors for what DeepSpeed may request and these functions do not compute."""

from __future__ import annotations

from collections.abc import Iterable, Mapping


class NotServedError(NotImplementedError, AttributeError):
    """A function of DeepSpeed's inference module is not among those of this project.

    It is an AttributeError, because DeepSpeed's op_binding then takes its own fallback in torch,
    and because ``getattr(module, name, default)`` must return the default.
    """


def not_served(name: str, served: Iterable[str]) -> NotServedError:
    """Return the error for a function that is not served."""
    return NotServedError(
        f"{name} is not implemented in ascend_ops' transformer_inference module for DeepSpeed; "
        f"it has {', '.join(sorted(served))}"
    )


def check_activation(
    name: str, activation: int, allowed: Iterable[int], names: Mapping[int, str]
) -> None:
    """Raise NotImplementedError unless ``activation`` is one of DeepSpeed's ``allowed`` numbers."""
    if activation not in allowed:
        wanted = " or ".join(f"{number} ({names[number]})" for number in allowed)
        raise NotImplementedError(f"{name} must be activation {wanted}, got {int(activation)}")
