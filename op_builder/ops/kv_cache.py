"""Builder of the ops on paged key/value caches."""

from __future__ import annotations

from .npu_family import NPUFamilyBuilder


class KVCacheBuilder(NPUFamilyBuilder):
    """``kv_cache``: kv_cache_scatter and kv_cache_gather."""

    BUILD_VAR = "DS_BUILD_KV_CACHE"
    NAME = "kv_cache"
    NAMESPACE = "ascend_ops_kv_cache"
    FAMILY = "serving"
    SOURCES = ("kv_cache",)
