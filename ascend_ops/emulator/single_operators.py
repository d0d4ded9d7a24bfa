"""The single operators (aclop) that torch_npu 2.13 names, and which of them are emulated.

torch_npu takes this older path for functions without an aclnn implementation, for tensors in a
private storage format, and if an aclnn function is missing. The names are those that its source and
op-plugin's pass to OpCommand. tests/emulator/test_single_operators.py compares the table with the
kernels in ``csrc/emulator/ops``.
"""

from __future__ import annotations

_EMULATED = """
    Abs Add AnchorResponseFlags ApplyAdamD ApplyAdamW ArgMaxGrad ArgMaxWithValue
    ArgMinWithValue AsStrided AxpyV2 AxpyWithSoftmaxAndDropOutDoMask BNTrainingReduce
    BatchMatMul BatchMatMulV2 BoundingBoxDecode BoundingBoxEncode BroadcastTo CIoU CIoUGrad
    CTCLossV2 CTCLossV2Grad Cast Cdist CdistGrad Ceil ConfusionTransposeD Conv2D
    Conv2DBackpropFilter Conv2DBackpropInput Conv2DTranspose Conv3D Conv3DBackpropFilter
    Conv3DBackpropInput Conv3DTranspose Cos DIoU DIoUGrad DeepNorm DeepNormGrad
    DeformableOffsets DeformableOffsetsGrad DepthwiseConv2DBackpropFilter
    DepthwiseConv2DBackpropInput DropOutDoMask DropOutDoMaskV3 DropOutGenMaskV3
    DropoutWithMulsAndSoftmaxGrad DynamicGRUV2 DynamicGRUV2Grad DynamicRNN DynamicRNNGrad
    DynamicRNNV2 DynamicRNNV2Grad Equal Erf Exp Expm1 Fill Floor GIoU GIoUGrad Greater
    GreaterEqual Identity Iou LayerNormV3 Less LessEqual Log1p LogSoftmaxV2 LogicalAnd
    LogicalNot LogicalOr MaskedFillRange MatMul MatMulV2 Maximum Minimum Mish MishGrad Mul
    NPUAllocFloatStatus Neg NonMaxSuppressionV4 NotEqual OneHotD OnesLike Pad Pow ROIAlign
    ROIAlignGrad RandomChoiceWithMask RealDiv Reciprocal ReduceMean ReduceMeanWithCount
    ReduceStdWithMean ReduceSum Relu RotatedBoxDecode RotatedBoxEncode RotatedIou
    RotatedOverlaps Rsqrt Select Sigmoid Sign SignBitsPack SignBitsUnpack Sin Slice
    SoftmaxCrossEntropyWithLogits SoftmaxV2 Sort SortV2 Sqrt Square StatelessDropOutGenMask
    StrideAdd Sub Swish SwishGrad SyncBNTrainingUpdate SyncBatchNormBackwardElemt
    SyncBatchNormBackwardReduce SyncBatchNormGatherStatsWithCounts Tanh TransData Transpose
    YoloBoxesEncode ZerosLike
"""

_BY_ACLNN = (
    "torch_npu calls aclnn for it; this name is only for tensors in a private storage format, or "
    "if CANN lacks the aclnn function"
)

_REASONS = {
    _BY_ACLNN: """
    Acos Acosh AdaptiveAvgPool2d AdaptiveAvgPool2dGrad AddLayerNorm AddLayerNormGrad
    AddRmsNorm Addcdiv Addcmul AffineGrid ArgMaxV2 ArgMin AscendQuantV2 Asin Asinh Atan
    Atan2 Atanh AvgPool3D AvgPool3DGrad AvgPoolV2 AvgPoolV2Grad BN3DTrainingReduce
    BN3DTrainingReduceGrad BN3DTrainingUpdate BN3DTrainingUpdateGrad BNInfer BNInferGrad
    BNTrainingReduceGrad BNTrainingUpdate BNTrainingUpdateGrad BiasAddGrad
    BinaryCrossEntropy BinaryCrossEntropyGrad Bincount BitwiseAnd BitwiseOr BitwiseXor
    CeluV2 ClipByValue ClipByValueV2 Col2im ConcatD
    Cosh CropAndResizeV2 Cross Cummax Cummin Cumprod Cumsum DecodeJpeg DepthwiseConv2D Diag
    DiagPart Dot Elu EluGradV2 EmbeddingBag EmbeddingDenseGrad Erfc Erfinv Eye FastGelu
    FastGeluGrad FillDiagonal FloorDiv FloorMod GLU GLUGrad Gather GatherElements GatherV2
    GatherV2D Gelu GeluGrad GridSampler2D GridSampler2DGrad GridSampler3D GridSampler3DGrad
    GroupNorm GroupNormSwish HardShrink HardShrinkGrad HardSigmoid HardSigmoidGrad HardSwish
    HardSwishGrad HardtanhGrad Histogram Im2col ImgToTensor Index IndexFillD IndexPutV2
    InplaceIndexAdd Invert IsClose IsFinite KLDiv KlDivLossGrad L1LossGrad LayerNorm
    LayerNormGrad LeakyRelu LeakyReluGrad LeftShift Lerp LinSpace Log LogAddExp
    LogMatrixDeterminant LogSigmoid LogSigmoidGrad LogSoftmaxGrad LogSpaceD LpLoss
    LpNormReduceV2 LpNormUpdateV2 MaskedFill MaskedScatter MaskedSelect MatrixInverse
    MatrixTriangularSolve MaxPool3D MaxPool3DGrad MaxPoolGradWithArgmaxV1
    MaxPoolWithArgmaxV1 MirrorPad Mod MseLoss MseLossGrad MultilabelMarginLoss
    MultinomialWithReplacement NLLLoss NLLLossGrad NanToNum NonZero NormalizeV2 OneHot PRelu
    PReluGrad Pack PadV3 PadV3Grad Pdist Qr QuantConv2D Quantize Range RangeD ReduceAll
    ReduceAny ReduceLogSumExp ReduceMax ReduceMeanD ReduceMin ReduceProd ReduceStdV2Update
    ReluGrad Renorm RepeatInterleave Resize ResizeBilinearV2 ResizeBilinearV2Grad ResizeD
    ResizeGrad ResizeGradD ResizeNearestNeighborV2 ResizeNearestNeighborV2Grad ReverseV2
    RightShift RmsNorm RmsNormGrad Roll RotaryMul RotaryMulGrad Round ScaledMaskedSoftmax
    ScaledMaskedSoftmaxGrad Scatter ScatterElements ScatterNdAdd ScatterNdUpdate
    ScatterUpdate SearchSorted Selu SeluGrad ShuffleChannel
    SigmoidCrossEntropyWithLogitsGradV2 SigmoidCrossEntropyWithLogitsV2 SigmoidGrad SiluGrad
    Sinh SmoothL1LossGradV2 SmoothL1LossV2 SoftMarginLoss SoftMarginLossGrad SoftShrink
    SoftShrinkGrad SoftmaxGrad SoftplusV2 SoftplusV2Grad StatelessBernoulli
    StatelessRandomNormalV2 StatelessRandomUniformV2 StatelessRandperm StridedSlice Svd
    SyncBatchNormGatherStats Tan TanhGrad TensorEqual ThresholdGradV2D ThresholdV2D Tile
    TopKV2 Trace Tril Triu Trunc UniqueConsecutive UniqueWithCountsAndSorting
    UniqueWithCountsExt2 UpsampleNearest3d UpsampleNearest3dGrad UpsampleTrilinear3d
    UpsampleTrilinear3dGrad ViewCopy Xlogy
    """,
    "the emulated NPU records no overflow; only INF_NAN_MODE_ENABLE=0 needs them": """
    NPUClearFloatDebugStatus NPUClearFloatStatus NPUClearFloatStatusV2
    NPUGetFloatDebugStatus NPUGetFloatStatus NPUGetFloatStatusV2
    """,
    "CANN documents neither a formula nor the order of equal elements": """
    ApplyAdamV2 BatchMultiClassNonMaxSuppression GridAssignPositive IFMR NMSWithMask
    NormalizeBatch PSROIPoolingGradV2D PSROIPoolingV2 RotatedNMS SilentCheck SubSample
    """,
    "npu_fusion_attention, which is emulated, has replaced it": """
    AttentionLnQKV AttentionQKVGradW AttentionQKVGradX AttentionScore AttentionScoreGrad
    MultiHeadAttention MultiHeadAttentionGrad
    """,
    "the fused prolog of MLA is emulated by its aclnn functions only": """
    MlaProlog
    """,
}

#: Single operators with a kernel.
EMULATED = frozenset(_EMULATED.split())

#: The other names, each with the reason why it has no kernel.
ABSENT = {name: reason for reason, names in _REASONS.items() for name in names.split()}
