from .ascend_c import AscendCOpBuilder
from .builder import OpBuilder
from .cpu import CPUOpBuilder
from .errors import AscendOpsError
from .npu import NPUOpBuilder
from .ops.acl_runtime import AclRuntimeBuilder
from .ops.aclnn import AclnnBuilder
from .ops.activation import ActivationBuilder
from .ops.async_io import AsyncIOBuilder
from .ops.block_sparse_attention import BlockSparseAttentionBuilder
from .ops.cpu_adagrad import CPUAdagradBuilder
from .ops.cpu_adam import CPUAdamBuilder
from .ops.cpu_lion import CPULionBuilder
from .ops.direct_call import DirectCallBuilder
from .ops.flash_attention import FlashAttentionBuilder
from .ops.fused_optimizers import FusedOptimizersBuilder
from .ops.kernel_queue import KernelQueueBuilder
from .ops.kv_cache import KVCacheBuilder
from .ops.moe import MoeBuilder
from .ops.norm import NormBuilder
from .ops.nsa import NsaBuilder
from .ops.rotary import RotaryBuilder
from .ops.serving_attention import ServingAttentionBuilder
from .registry import ALL_OPS, all_builders, builder_of
from .version import __version__

__all__ = [
    "ALL_OPS",
    "AclRuntimeBuilder",
    "AclnnBuilder",
    "ActivationBuilder",
    "AscendCOpBuilder",
    "AscendOpsError",
    "AsyncIOBuilder",
    "BlockSparseAttentionBuilder",
    "CPUAdagradBuilder",
    "CPUAdamBuilder",
    "CPULionBuilder",
    "CPUOpBuilder",
    "DirectCallBuilder",
    "FlashAttentionBuilder",
    "FusedOptimizersBuilder",
    "KVCacheBuilder",
    "KernelQueueBuilder",
    "MoeBuilder",
    "NPUOpBuilder",
    "NormBuilder",
    "NsaBuilder",
    "OpBuilder",
    "RotaryBuilder",
    "ServingAttentionBuilder",
    "__version__",
    "all_builders",
    "builder_of",
]
