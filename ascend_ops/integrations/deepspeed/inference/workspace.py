"""The key/value cache that all layers of an injected model share, and its count of tokens."""

from __future__ import annotations

from typing import NamedTuple

import torch

from .positions import forget_tables

Tensor = torch.Tensor

_MAX_OUT_TOKENS = 1024  # DeepSpeed's default, if allocate_workspace has not been called


class Cache(NamedTuple):
    """The keys and values of one layer, ``[B, N, max_out_tokens, D]``."""

    key: Tensor
    value: Tensor


class Workspace:
    """What DeepSpeed calls its workspace: one per process, like its own.

    DeepSpeed allocates it before the first layer runs, and releases and retakes it between the
    phases of its hybrid engine. Memory is allocated when a layer first writes to its cache, since
    the number of key heads is not known before. A prompt begins at position 0; a single token
    follows the tokens so far, and the last layer's call counts it.

    Attributes:
        tokens: The number of tokens including those of the current call.
    """

    def __init__(self) -> None:
        self.tokens = 1
        self._batch_size = 1
        self._max_out_tokens = _MAX_OUT_TOKENS
        self._caches: dict[int, Cache] = {}
        self._filled: dict[int, int] = {}

    def allocate(self, batch_size: int, max_out_tokens: int) -> None:
        """Begin new caches for ``batch_size`` sequences of at most ``max_out_tokens`` tokens."""
        for name, number in (("batch_size", batch_size), ("max_out_tokens", max_out_tokens)):
            if number < 1:
                raise ValueError(f"{name} must be at least 1, got {number}")
        self.release()
        self.tokens = 1
        self._batch_size, self._max_out_tokens = batch_size, max_out_tokens

    def release(self) -> None:
        """Free all memory; the next call must be a prompt."""
        self._caches.clear()
        self._filled.clear()
        forget_tables()

    def write(self, layer: int, key: Tensor, value: Tensor, begin: int) -> Cache:
        """Write ``[B, S, N, D]`` from position ``begin`` on; return the layer's caches."""
        end = begin + key.shape[1]
        if end > self._max_out_tokens:
            raise ValueError(
                f"max_out_tokens must be at least {end}, the tokens of the prompt and the output, "
                f"got {self._max_out_tokens}: pass a larger one to deepspeed.init_inference"
            )
        cache = self._continued(layer, key, begin) if begin else self._new(layer, key)
        for kept, new in zip(cache, (key, value), strict=True):
            kept[: key.shape[0], :, begin:end] = new.transpose(1, 2)
        self._filled[layer] = end
        return cache

    def repeat(self, source_batch_size: int, repeats: int) -> list[Tensor]:
        """Copy the prompt of each of the first sequences to ``repeats`` sequences of the batch.

        Returns:
            The keys and values of each layer, views ``[B, N, tokens of the prompt, D]``.
        """
        batch = source_batch_size * repeats
        if repeats < 1 or source_batch_size < 1 or batch != self._batch_size:
            raise RuntimeError(
                f"source_batch_size times repeats must be the batch size of allocate_workspace, "
                f"{self._batch_size}, got {source_batch_size} times {repeats}"
            )
        prompt = self.tokens - 1
        filled = [self._filled.get(layer) for layer in self._caches]
        if not filled or any(length != prompt for length in filled):
            raise RuntimeError(
                f"repeat_kv_cache must follow the prompt of all layers, {prompt} tokens, got "
                f"caches with {filled}"
            )
        repeated = []
        for layer in sorted(self._caches):
            for cache in self._caches[layer]:
                rows = cache[:source_batch_size, :, :prompt].repeat_interleave(repeats, 0)
                cache[:batch, :, :prompt] = rows
                repeated.append(cache[:batch, :, :prompt])
        return repeated

    def _continued(self, layer: int, key: Tensor, begin: int) -> Cache:
        """Return the caches that continue with ``key``; raise if it does not fit them."""
        cached = self._filled.get(layer, 0)
        if cached < begin:
            raise RuntimeError(
                f"layer {layer} must have cached {begin} tokens before this one, got {cached}: "
                "run a prompt, or call reset_cache() before the first token of a sequence"
            )
        cache = self._caches[layer]
        if not _fits(cache.key, key, key.shape[0]):
            raise ValueError(
                f"query_key_value must continue the cache of layer {layer}, {cache.key.dtype} "
                f"[B, N, S, D] = {list(cache.key.shape)} on {cache.key.device}, got keys of "
                f"{key.dtype} [B, S, N, D] = {list(key.shape)} on {key.device}: run a prompt"
            )
        return cache

    def _new(self, layer: int, key: Tensor) -> Cache:
        """Return the layer's caches for a new prompt: the ones it has, if they are large enough."""
        batch = max(key.shape[0], self._batch_size)
        cache = self._caches.get(layer)
        if cache is None or not _fits(cache.key, key, batch):
            _, _, heads, size = key.shape
            shape = (batch, heads, self._max_out_tokens, size)
            self._caches.pop(layer, None)  # frees its memory first
            self._caches[layer] = cache = Cache(key.new_zeros(shape), key.new_zeros(shape))
        return cache


def _fits(cache: Tensor, key: Tensor, batch: int) -> bool:
    return (
        cache.dtype == key.dtype
        and cache.device == key.device
        and cache.shape[0] >= batch
        and (cache.shape[1], cache.shape[3]) == (key.shape[2], key.shape[3])
    )


#: The workspace of this process.
WORKSPACE = Workspace()


def allocate_workspace(
    hidden_dim: int,  # noqa: ARG001 - the caches take their sizes from the first prompt
    num_heads: int,  # noqa: ARG001
    prompt_length: int,  # noqa: ARG001
    batch_size: int,
    num_layers: int,  # noqa: ARG001
    mp_size: int = 1,  # noqa: ARG001
    external_cache: bool = False,  # noqa: ARG001
    rank: int = 0,  # noqa: ARG001
    max_out_tokens: int = _MAX_OUT_TOKENS,
    min_out_tokens: int = 1,
) -> bool:
    """Begin new caches for a model."""
    if min_out_tokens > max_out_tokens:
        raise ValueError(
            f"max_out_tokens must be at least min_out_tokens, {min_out_tokens}, got "
            f"{max_out_tokens}"
        )
    WORKSPACE.allocate(batch_size, max_out_tokens)
    return True


def release_workspace() -> None:
    """Free the caches."""
    WORKSPACE.release()


def retake_workspace() -> bool:
    """Return True: after ``release_workspace``, the next prompt allocates the caches again."""
    return True


def reset_cache() -> None:
    """Begin a new sequence: the next token is at position 0."""
    WORKSPACE.tokens = 1


@torch.no_grad()
def repeat_kv_cache(source_batch_size: int, repeats: int) -> list[Tensor]:
    """Copy each sequence's prompt to ``repeats`` sequences; see :meth:`Workspace.repeat`."""
    return WORKSPACE.repeat(source_batch_size, repeats)
