// The types with which a kernel describes a Matmul object.
//
// Most options of a MatmulConfig choose how a device moves the data. The names and the order of the
// fields are CANN's, since kernels fill the structure by position.
#pragma once

#include "ascendc/types.h"
#include "kernel_tiling/kernel_tiling.h"

enum class CubeFormat : std::uint8_t {
    ND = 0,
    NZ,
    ZN,
    ZZ,
    NN,
    ND_ALIGN,
    SCALAR,
    VECTOR,
    ROW_MAJOR = ND,
    COLUMN_MAJOR = 8
};
enum class LayoutMode : std::uint8_t { NONE = 0, BSNGD, SBNGD, BNGS1S2, NORMAL };
enum class BatchMode : std::uint8_t {
    NONE = 0,
    BATCH_LESS_THAN_L1,
    BATCH_LARGE_THAN_L1,
    SINGLE_LARGE_THAN_L1
};
enum BatchOutMode : std::uint8_t { SINGLE_BATCH = 0, MULTI_BATCH, DYNAMIC };
enum class IterateOrder : std::uint8_t { ORDER_M = 0, ORDER_N, UNDEF };
enum class ScheduleType : std::uint8_t { INNER_PRODUCT = 0, OUTER_PRODUCT, N_BUFFER_33 };
enum IterateMode : std::uint8_t {
    ITERATE_MODE_NORMAL = 1,
    ITERATE_MODE_ALL = 2,
    ITERATE_MODE_BATCH = 4,
    ITERATE_MODE_N_BATCH = 8,
    ITERATE_MODE_DEFAULT = 255
};
enum class DecompressionMode : std::uint8_t { DECOMP_NONE = 0 };

struct MatmulConfig {
    bool doNorm = false;
    bool doBasicBlock = false;
    bool doMultiDataLoad = false;
    std::uint32_t basicM = 0;
    std::uint32_t basicN = 0;
    std::uint32_t basicK = 0;
    bool intrinsicsCheck = false;
    bool isNBatch = false;
    bool enVecND2NZ = false;
    bool doSpecialBasicBlock = false;
    std::uint32_t doMTE2Preload = 0;
    std::uint32_t singleCoreM = 0;
    std::uint32_t singleCoreN = 0;
    std::uint32_t singleCoreK = 0;
    std::uint32_t stepM = 0;
    std::uint32_t stepN = 0;
    std::uint32_t baseMN = 0;
    std::uint32_t singleCoreMN = 0;
    bool enUnitFlag = true;
    bool isPerTensor = false;
    bool hasAntiQuantOffset = false;
    bool doIBShareNorm = false;
    bool doSpecialMDL = false;
    bool enableInit = true;
    BatchMode batchMode = BatchMode::NONE;
    bool enableEnd = true;
    bool enableGetTensorC = true;
    bool enableSetOrgShape = true;
    bool enableSetBias = true;
    bool enableSetTail = true;
    bool enableQuantVector = true;
    bool enableSetDefineData = true;
    std::uint8_t iterateMode = IterateMode::ITERATE_MODE_DEFAULT;
    bool enableReuse = true;
    bool enableUBReuse = false;
    bool enableL1CacheUB = false;
    bool intraBlockPartSum = false;
    IterateOrder iterateOrder = IterateOrder::UNDEF;
    ScheduleType scheduleType = ScheduleType::INNER_PRODUCT;
    bool enableDoubleCache = false;
    bool isBiasBatch = true;
    bool enableStaticPadZeros = false;
    bool isPartialOutput = false;
    bool enableMixDualMaster = false;
    bool isA2B2Shared = false;
    bool isEnableChannelSplit = false;
    bool enableKdimReorderLoad = false;
    bool isCO1Shared = false;
    std::uint32_t sharedCO1BufferSize = 64 * 1024;
    BatchOutMode bmmOutMode = BatchOutMode::SINGLE_BATCH;
    bool enableL1BankConflictOptimise = false;
    bool enableRelu = false;
    DecompressionMode decompMode = DecompressionMode::DECOMP_NONE;
};

enum class MatmulConfigMode : std::uint8_t {
    CONFIG_NORM,
    CONFIG_MDL,
    CONFIG_SPECIALMDL,
    CONFIG_IBSHARE
};

struct MatmulShapeParams {
    std::uint32_t singleCoreM = 0, singleCoreN = 0, singleCoreK = 0;
    std::uint32_t basicM = 0, basicN = 0, basicK = 0;
};
struct MatmulQuantParams {
    bool isPerTensor = false;
    bool hasAntiQuantOffset = false;
};
struct MatmulBatchParams {
    bool isNBatch = false;
    BatchMode batchMode = BatchMode::NONE;
    bool isBiasBatch = true;
    BatchOutMode bmmOutMode = BatchOutMode::SINGLE_BATCH;
};
struct MatmulFuncParams {
    bool intrinsicsCheck = false;
    bool enVecND2NZ = false;
    bool enableDoubleCache = false;
    bool enableL1CacheUB = false;
    std::uint32_t doMTE2Preload = 0;
    IterateOrder iterateOrder = IterateOrder::UNDEF;
    ScheduleType scheduleType = ScheduleType::INNER_PRODUCT;
    bool enableReuse = true;
    bool enableUBReuse = false;
    bool isPartialOutput = false;
    bool isA2B2Shared = false;
    bool isEnableChannelSplit = false;
    bool enableKdimReorderLoad = false;
    bool enableL1BankConflictOptimise = false;
    bool enableRelu = false;
    DecompressionMode decompMode = DecompressionMode::DECOMP_NONE;
};
struct MatmulBiasParams {
    bool enableSetBias = true;
};
struct MatrixOffset {
    std::int32_t offset = 0, row = 0, col = 0, height = 0, width = 0;
};

namespace aicore {

constexpr MatmulConfig with_shape(MatmulConfig config, std::uint32_t m, std::uint32_t n,
                                  std::uint32_t k) {
    config.basicM = m;
    config.basicN = n;
    config.basicK = k;
    return config;
}
constexpr void apply(MatmulConfig& config, const MatmulShapeParams& shape) {
    config.singleCoreM = shape.singleCoreM;
    config.singleCoreN = shape.singleCoreN;
    config.singleCoreK = shape.singleCoreK;
    config = with_shape(config, shape.basicM, shape.basicN, shape.basicK);
}
constexpr void apply(MatmulConfig& config, const MatmulQuantParams& quantization) {
    config.isPerTensor = quantization.isPerTensor;
    config.hasAntiQuantOffset = quantization.hasAntiQuantOffset;
}
constexpr void apply(MatmulConfig& config, const MatmulBatchParams& batch) {
    config.isNBatch = batch.isNBatch;
    config.batchMode = batch.batchMode;
    config.isBiasBatch = batch.isBiasBatch;
    config.bmmOutMode = batch.bmmOutMode;
}
constexpr void apply(MatmulConfig& config, const MatmulFuncParams& functions) {
    config.iterateOrder = functions.iterateOrder;
    config.scheduleType = functions.scheduleType;
    config.isPartialOutput = functions.isPartialOutput;
    config.isEnableChannelSplit = functions.isEnableChannelSplit;
    config.enableRelu = functions.enableRelu;
}
constexpr void apply(MatmulConfig& config, const MatmulBiasParams& bias) {
    config.enableSetBias = bias.enableSetBias;
}

}  // namespace aicore

/// The options of the template Norm, which are given by position.
constexpr MatmulConfig GetNormalConfig(bool intrinsicsLimit = false, bool batchLoop = false,
                                       bool isVecND2NZ = false,
                                       BatchMode bmmMode = BatchMode::BATCH_LESS_THAN_L1,
                                       bool isMsgReuse = true,
                                       IterateOrder iterateOrder = IterateOrder::UNDEF,
                                       ScheduleType scheduleType = ScheduleType::INNER_PRODUCT,
                                       bool enUnitFlag = true, bool enableMixDualMaster = false,
                                       BatchOutMode bmmOutMode = BatchOutMode::SINGLE_BATCH) {
    MatmulConfig config;
    config.doNorm = true;
    config.intrinsicsCheck = intrinsicsLimit;
    config.isNBatch = batchLoop;
    config.enVecND2NZ = isVecND2NZ;
    config.batchMode = bmmMode;
    config.enableReuse = isMsgReuse;
    config.iterateOrder = iterateOrder;
    config.scheduleType = scheduleType;
    config.enUnitFlag = enUnitFlag;
    config.enableMixDualMaster = enableMixDualMaster;
    config.bmmOutMode = bmmOutMode;
    return config;
}
/// The options of the template MDL.
constexpr MatmulConfig GetMDLConfig(bool intrinsicsLimit = false, bool batchLoop = false,
                                    std::uint32_t doMTE2Preload = 0, bool isVecND2NZ = false,
                                    bool isPerTensor = false, bool hasAntiQuantOffset = false,
                                    bool enUnitFlag = false, bool isMsgReuse = true,
                                    bool enableUBReuse = true, bool enableL1CacheUB = false,
                                    bool enableMixDualMaster = false,
                                    bool enableKdimReorderLoad = false) {
    MatmulConfig config = GetNormalConfig(intrinsicsLimit, batchLoop, isVecND2NZ);
    config.doNorm = false;
    config.doMultiDataLoad = true;
    config.doMTE2Preload = doMTE2Preload;
    config.isPerTensor = isPerTensor;
    config.hasAntiQuantOffset = hasAntiQuantOffset;
    config.enUnitFlag = enUnitFlag;
    config.enableReuse = isMsgReuse;
    config.enableUBReuse = enableUBReuse;
    config.enableL1CacheUB = enableL1CacheUB;
    config.enableMixDualMaster = enableMixDualMaster;
    config.enableKdimReorderLoad = enableKdimReorderLoad;
    return config;
}
/// The options of other templates only choose how a device moves the data.
template <class... Options>
constexpr MatmulConfig GetSpecialMDLConfig(Options... /*options*/) {
    return GetMDLConfig();
}
template <class... Options>
constexpr MatmulConfig GetIBShareNormConfig(Options... /*options*/) {
    MatmulConfig config = GetNormalConfig();
    config.doIBShareNorm = true;
    return config;
}
template <class... Options>
constexpr MatmulConfig GetBasicConfig(std::uint32_t basicM, std::uint32_t basicN,
                                      std::uint32_t basicK, Options... /*options*/) {
    return aicore::with_shape(GetNormalConfig(), basicM, basicN, basicK);
}
template <class... Options>
constexpr MatmulConfig GetSpecialBasicConfig(std::uint32_t basicM, std::uint32_t basicN,
                                             std::uint32_t basicK, Options... /*options*/) {
    return aicore::with_shape(GetNormalConfig(), basicM, basicN, basicK);
}
template <MatmulConfigMode mode, class... Parts>
constexpr MatmulConfig GetMMConfig(Parts&&... parts) {
    MatmulConfig config = mode == MatmulConfigMode::CONFIG_NORM      ? GetNormalConfig()
                          : mode == MatmulConfigMode::CONFIG_IBSHARE ? GetIBShareNormConfig()
                                                                     : GetMDLConfig();
    (aicore::apply(config, parts), ...);
    return config;
}

constexpr MatmulConfig CFG_NORM = GetNormalConfig();
constexpr MatmulConfig CFG_MDL = GetMDLConfig();
constexpr MatmulConfig CFG_IBSHARE_NORM = GetIBShareNormConfig();
constexpr MatmulConfig MM_CFG_BB = GetBasicConfig(128, 128, 128);

namespace AscendC {

using ::CubeFormat;
using ::LayoutMode;
using ::MatmulConfig;

/// What a Matmul object has to know of one of its matrices.
template <TPosition POSITION, ::CubeFormat FORMAT, class TYPE, bool ISTRANS = false,
          ::LayoutMode LAYOUT = ::LayoutMode::NONE, bool IBSHARE = false,
          TPosition SRCPOS = TPosition::GM>
struct MatmulType {
    using T = TYPE;
    static constexpr TPosition pos = POSITION;
    static constexpr ::CubeFormat format = FORMAT;
    static constexpr bool isTrans = ISTRANS;
    static constexpr ::LayoutMode layout = LAYOUT;
    static constexpr bool ibShare = IBSHARE;
    static constexpr TPosition srcPos = SRCPOS;
};

/// A tiling that is known at compile time, and the options that it was made from.
struct MatmulApiStaticTiling : TCubeTiling {
    MatmulConfig cfg = GetNormalConfig();
};

/// The tiling that the shapes of the options give.
template <class A_TYPE, class B_TYPE, class C_TYPE, class BIAS_TYPE>
constexpr MatmulApiStaticTiling GetMatmulApiTiling(const MatmulConfig& config,
                                                   std::int32_t /*l1Size*/ = 0) {
    MatmulApiStaticTiling tiling{};
    tiling.cfg = config;
    tiling.M = tiling.singleCoreM = static_cast<std::int32_t>(config.singleCoreM);
    tiling.N = tiling.singleCoreN = static_cast<std::int32_t>(config.singleCoreN);
    tiling.Ka = tiling.Kb = tiling.singleCoreK = static_cast<std::int32_t>(config.singleCoreK);
    tiling.baseM = static_cast<std::int32_t>(config.basicM);
    tiling.baseN = static_cast<std::int32_t>(config.basicN);
    tiling.baseK = static_cast<std::int32_t>(config.basicK);
    tiling.stepM = tiling.stepN = tiling.stepKa = tiling.stepKb = 1;
    tiling.depthA1 = tiling.depthB1 = 1;
    return tiling;
}

/// Functions of the kernel's own that move the data; they are not emulated.
template <auto copy_out, auto copy_a, auto copy_b>
struct MatmulCallBackFunc {
    static constexpr bool is_default =
        copy_out == nullptr && copy_a == nullptr && copy_b == nullptr;
};

}  // namespace AscendC
using AscendC::GetMatmulApiTiling;
using AscendC::MatmulApiStaticTiling;
