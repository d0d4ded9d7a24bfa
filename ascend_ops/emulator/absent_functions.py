"""Why aclnn functions that torch_npu names are not emulated; the page of the coverage shows it."""

from __future__ import annotations

_OTHER_MACHINE = "tokens go to workers on other machines, by a protocol that is not documented"
_ENCRYPTED = "the transformation is secret; only its effect on a device undoes it"
_CODEC = "the format of the compressed bytes is not documented"
_HIFLOAT8 = "its operands are hifloat8, which is not emulated"
_STORED_FLOAT4 = "its result is float4 in a storage format, which is not emulated"

#: The reason per function.
NOT_EMULATED = {
    "aclnnAttentionToFFN": _OTHER_MACHINE,
    "aclnnAttentionWorkerCombine": _OTHER_MACHINE,
    "aclnnFFNToAttention": _OTHER_MACHINE,
    "aclnnFfnWorkerBatching": _OTHER_MACHINE,
    "aclnnInplaceAttentionWorkerScheduler": _OTHER_MACHINE,
    "aclnnInplaceFfnWorkerScheduler": _OTHER_MACHINE,
    "aclnnHansDecode": _CODEC,
    "aclnnHansEncode": _CODEC,
    "aclnnMatmulCompressDequant": _CODEC,
    "aclnnLessScalar": (
        "CANN does not have it either; torch_npu would call it for `ge` and get `lt`"
    ),
    "aclnnMatmulAbftVerify": "its parameters are not documented",
    "aclnnObfuscationCalculateV2": _ENCRYPTED,
    "aclnnObfuscationSetupV2": _ENCRYPTED,
    "aclnnQuantFlashAttentionScore": _HIFLOAT8,
    "aclnnQuantFlashAttentionScoreGrad": _HIFLOAT8,
    "aclnnSilentCheck": "it looks for faults of a device's arithmetic, which is not emulated",
    "aclnnSilentCheckV2": "it looks for faults of a device's arithmetic, which is not emulated",
    "aclnnSparseLightningIndexerGradKLLossV2": (
        "CANN's documentation has no formula for `sinks`, with which alone torch_npu calls it"
    ),
    "aclnnWeightQuantPreprocess": _STORED_FLOAT4,
}
