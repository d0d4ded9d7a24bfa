"""Which tests call which functions of the emulator's libopapi, without ``aclnn``.

These are the functions that neither an OpInfo entry (checked_by_opinfo.py) nor a test_direct_*.py
calls. The fixture ``calls_its_functions`` fails a test that does not call those beside it.
"""

from __future__ import annotations

#: What Ascend 950 has instead of a function in ``TESTS``.
ON_ASCEND_950 = {"FusedInferAttentionScoreV4": "FusedInferAttentionScoreV5"}
#: Functions per test; the tests' paths are relative to ``tests``.
TESTS = {
    "npu_ops/activation/test_activation.py::test_the_kernels_agree_with_fp64[float16]": "GeluBackwardV2 GeluV2",
    "npu_ops/sparse_attention/test_block_sparse_attention.py::test_the_kernels_agree_with_the_loops[float16]": (
        "BlockSparseAttention BlockSparseAttentionGrad"
    ),
    "npu_ops/moe/test_ffn.py::test_every_version_and_the_fallback_give_the_same": "FFN FFNV2",
    "npu_ops/moe/test_ffn.py::test_every_activation_with_and_without_experts[npu]": "FFNV3",
    "npu_ops/attention/test_flash_attention.py::test_windows[band-npu]": (
        "FlashAttentionScoreGradV3 FlashAttentionScoreV3"
    ),
    "npu_ops/attention/test_flash_attention_refusals.py::test_older_versions_of_the_functions_give_the_same": (
        "FlashAttentionScoreGradV2 FlashAttentionScoreV2 FlashAttentionUnpaddingScoreGrad"
    ),
    "npu_ops/attention/test_flash_attention_refusals.py::test_torch_npus_own_attention_agrees": (
        "FlashAttentionVarLenScore"
    ),
    "npu_ops/attention/test_flash_attention_varlen.py::test_each_sequence_sees_only_itself[float16-npu]": (
        "FlashAttentionUnpaddingScoreGradV2 FlashAttentionVarLenScoreV2"
    ),
    "npu_ops/fused_optimizers/test_fused_adamw.py::test_the_state_goes_to_torch_and_back[npu]": "FusedAdamw",
    "npu_ops/moe/test_grouped_matmul.py::test_every_version_and_the_fallback_give_the_same": (
        "GroupedMatmulV3 GroupedMatmulV4"
    ),
    "npu_ops/moe/test_moe_gating.py::test_a_layer_of_experts_trains_like_a_loop_over_all_experts": (
        "GroupedMatmulV5 MoeGatingTopK"
    ),
    "npu_ops/sparse_attention/test_nsa.py::test_compressed_attention_on_the_npu_agrees_with_the_cpu_and_torch_npu": (
        "NsaCompressAttention"
    ),
    "npu_ops/sparse_attention/test_nsa.py::test_compression_is_the_weighted_sum_of_each_window": "NsaCompress",
    "npu_ops/sparse_attention/test_nsa.py::test_selected_attention_within_canns_limits_agrees_and_compiles": (
        "NsaSelectedAttention NsaSelectedAttentionGrad"
    ),
    "emulator/test_operator_variants.py::test_gradients_of_gates": (
        "FastGelu FastGeluBackward GeGluV3 GeGluV3Backward ReflectionPad2dBackward SwiGlu SwiGluGrad"
    ),
    "emulator/test_operator_variants.py::test_permutations_and_normals_have_their_properties": (
        "NormalFloatTensor Randperm"
    ),
    "emulator/test_operator_variants.py::test_variants_agree_with_the_cpu": (
        "BitwiseAndScalar BitwiseOrScalar BitwiseXorScalar ClampMax DivMods FloorDivides "
        "FmodScalar ForeachAddScalarList ForeachPowScalarList ForeachSubListV2 "
        "ForeachSubScalarList InplaceBitwiseAndScalar InplaceBitwiseXorScalar InplaceClampMax "
        "InplaceDivMods InplaceEqScalar InplaceFloorDivides InplaceFmodScalar InplaceGeScalar "
        "InplaceGtScalar InplaceHardswish InplaceHardtanh InplaceLeScalar InplaceLtScalar "
        "InplaceNeScalar InplaceRelu InplaceRemainderTensorScalar InplaceScatterValue "
        "InplaceSubs InplaceXLogYScalarOther Inverse IsInScalarTensor IsInTensorScalar "
        "LeftShifts Range ReflectionPad2d ReflectionPad3d RemainderScalarTensor "
        "RepeatInterleaveTensor ReplicationPad3d SearchSorteds UpsampleBicubic2dAA "
        "UpsampleNearest3d UpsampleNearestExact2d UpsampleNearestExact3d XLogYScalarOther "
        "XLogYScalarSelf"
    ),
    "emulator/test_operators.py::test_adamw_steps_as_on_the_cpu[fused]": "ApplyAdamWV2",
    "emulator/test_random_graphs.py::test_each_replay_draws_other_numbers[dropout]": (
        "DropoutGenMaskV2Tensor"
    ),
    "emulator/test_random_graphs.py::test_each_replay_draws_other_numbers[randn]": (
        "InplaceNormalTensor"
    ),
    "emulator/test_random_graphs.py::test_each_replay_draws_other_numbers[rand]": (
        "InplaceUniformTensor"
    ),
    "emulator/test_random_graphs.py::test_each_replay_draws_other_numbers[randint]": (
        "InplaceRandomTensor"
    ),
    "emulator/test_random_graphs.py::test_each_replay_draws_other_numbers[multinomial]": (
        "MultinomialTensor"
    ),
    "emulator/test_recurrent.py::test_the_fused_cell_and_its_gradient": (
        "ThnnFusedLstmCell ThnnFusedLstmCellBackward"
    ),
    "emulator/test_recurrent.py::test_gru_and_its_gradient_by_name": "GRU GRUBackward",
    "emulator/test_recurrent.py::test_lstm_and_its_gradient_by_name": "LSTM LstmBackward",
    "emulator/test_operators.py::test_flash_attention_and_its_gradient[True-BSH]": (
        "FlashAttentionScore FlashAttentionScoreGrad"
    ),
    "emulator/test_operators.py::test_gradients_agree_with_the_cpus": (
        "BinaryCrossEntropyWithLogitsBackward Gelu GeluBackward KlDivBackward"
    ),
    "emulator/test_operators.py::test_multi_tensor_operators": (
        "ForeachAbs ForeachAcos ForeachAddListV2 ForeachAddScalarV2 ForeachAddcdivScalarV2 "
        "ForeachAddcmulScalarV2 ForeachAsin ForeachAtan ForeachCos ForeachCosh ForeachDivList "
        "ForeachDivScalarList ForeachDivScalarV2 ForeachErf ForeachErfc ForeachExp "
        "ForeachExpm1 ForeachLerpScalar ForeachLog ForeachLog10 ForeachLog1p ForeachLog2 "
        "ForeachMaximumList ForeachMinimumList ForeachMulList ForeachMulScalarList "
        "ForeachMulScalarV2 ForeachNeg ForeachNonFiniteCheckAndUnscale ForeachNorm "
        "ForeachPowList ForeachPowScalarV2 ForeachReciprocal ForeachSigmoid ForeachSign "
        "ForeachSin ForeachSinh ForeachSqrt ForeachSubScalarV2 ForeachTan ForeachTanh "
        "ForeachZeroInplace"
    ),
    "emulator/test_operators.py::test_norms_and_gates_of_language_models": "AddRmsNorm RmsNorm RmsNormGrad",
    "emulator/test_operators.py::test_random_numbers_repeat_with_the_seed_and_have_their_distribution": (
        "DropoutDoMask DropoutGenMaskV2"
    ),
    "npu_ops/rotary/test_rotary.py::test_strides_and_offsets_of_views_are_respected": (
        "ApplyRotaryPosEmb RotaryPositionEmbedding RotaryPositionEmbeddingGrad"
    ),
    "npu_ops/serving/test_serving_attention.py::test_lengths_cut_queries_and_keys_off": (
        "IncreFlashAttentionV4 PromptFlashAttentionV3"
    ),
    "npu_ops/serving/test_serving_end_to_end.py::"
    "test_prefill_and_decoding_are_dense_attention_over_the_whole_request": (
        "FusedInferAttentionScoreV4 GatherPaKvCache ScatterPaKvCache"
    ),
    "npu_ops/serving/test_serving_versions.py::test_older_functions_compute_the_same_or_report_what_they_lack[1]": (
        "FusedInferAttentionScoreV3 IncreFlashAttentionV3 PromptFlashAttentionV2"
    ),
    "npu_ops/serving/test_serving_versions.py::test_older_functions_compute_the_same_or_report_what_they_lack[2]": (
        "FusedInferAttentionScoreV2 IncreFlashAttentionV2 PromptFlashAttention"
    ),
    "npu_ops/serving/test_serving_versions.py::test_older_functions_compute_the_same_or_report_what_they_lack[3]": (
        "FusedInferAttentionScore IncreFlashAttention"
    ),
    "npu_ops/serving/test_serving_versions.py::test_on_ascend_950_there_is_v5_and_neither_prompt_nor_incre": (
        "FusedInferAttentionScoreV5"
    ),
}
