// Attention to the keys that an indexer has chosen for each query, in fp32.
#include "emulator/ops/attention/sparse_flash_attention.h"

using namespace ascend_emulator;

#define SPARSE_INPUTS                                                                          \
    Tensor query, Tensor key, Tensor value, Tensor sparseIndices, Optional<Tensor> blockTable, \
        Optional<Tensor> actualSeqLengthsQuery, Optional<Tensor> actualSeqLengthsKv,           \
        Optional<Tensor> queryRope, Optional<Tensor> keyRope
#define SPARSE_ATTRIBUTES                                                                        \
    double scaleValue, Int sparseBlockSize, String layoutQuery, String layoutKv, Int sparseMode, \
        REFUSED_UNLESS(INT64_MAX, Int, preTokens), REFUSED_UNLESS(INT64_MAX, Int, nextTokens),   \
        Int attentionMode, bool returnSoftmaxLse, Out attentionOut, Unused<Out>, Unused<Out>
#define SPARSE_ATTENTION                                               \
    {                                                                  \
        const SparseFlashAttention attention = {query,                 \
                                                key,                   \
                                                value,                 \
                                                sparseIndices,         \
                                                blockTable,            \
                                                actualSeqLengthsQuery, \
                                                actualSeqLengthsKv,    \
                                                queryRope,             \
                                                keyRope,               \
                                                scaleValue,            \
                                                sparseBlockSize,       \
                                                layoutQuery,           \
                                                layoutKv,              \
                                                sparseMode};           \
        attention.check(attentionMode, returnSoftmaxLse);              \
        attention.run(attentionOut);                                   \
    }

ACLNN_CHECKED(aclnnSparseFlashAttention, SPARSE_INPUTS, SPARSE_ATTRIBUTES)
SPARSE_ATTENTION
ACLNN_CHECKED(aclnnSparseFlashAttentionV2, SPARSE_INPUTS, REFUSED(Tensor, sinks), SPARSE_ATTRIBUTES)
SPARSE_ATTENTION
