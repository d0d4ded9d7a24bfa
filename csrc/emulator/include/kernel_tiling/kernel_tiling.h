// The tiling structures of Ascend C's library functions, as host and kernel share them.
//
// The names, the types and their order are CANN's; the fields that the emulated core does not need
// are there because a tiling structure of an op contains whole ones.
#pragma once

#include "kernel_tiling/norm_tiling.h"
#include "kernel_tiling/tiling_field.h"

struct SoftMaxTiling {
    AICORE_TILING_FIELD(std::uint32_t, srcM)
    AICORE_TILING_FIELD(std::uint32_t, srcK)
    AICORE_TILING_FIELD(std::uint32_t, srcSize)
    AICORE_TILING_FIELD(std::uint32_t, outMaxM)
    AICORE_TILING_FIELD(std::uint32_t, outMaxK)
    AICORE_TILING_FIELD(std::uint32_t, outMaxSize)
    AICORE_TILING_FIELD(std::uint32_t, splitM)
    AICORE_TILING_FIELD(std::uint32_t, splitK)
    AICORE_TILING_FIELD(std::uint32_t, splitSize)
    AICORE_TILING_FIELD(std::uint32_t, reduceM)
    AICORE_TILING_FIELD(std::uint32_t, reduceK)
    AICORE_TILING_FIELD(std::uint32_t, reduceSize)
    AICORE_TILING_FIELD(std::uint32_t, rangeM)
    AICORE_TILING_FIELD(std::uint32_t, tailM)
    AICORE_TILING_FIELD(std::uint32_t, tailSplitSize)
    AICORE_TILING_FIELD(std::uint32_t, tailReduceSize)
    AICORE_TILING_BYTES()
};

struct LogSoftMaxTiling : SoftMaxTiling {};  // CANN declares the same fields

struct TCubeTiling {
    AICORE_TILING_FIELD(std::int32_t, usedCoreNum)
    AICORE_TILING_FIELD(std::int32_t, M)
    AICORE_TILING_FIELD(std::int32_t, N)
    AICORE_TILING_FIELD(std::int32_t, Ka)
    AICORE_TILING_FIELD(std::int32_t, Kb)
    AICORE_TILING_FIELD(std::int32_t, singleCoreM)
    AICORE_TILING_FIELD(std::int32_t, singleCoreN)
    AICORE_TILING_FIELD(std::int32_t, singleCoreK)
    AICORE_TILING_FIELD(std::int32_t, baseM)
    AICORE_TILING_FIELD(std::int32_t, baseN)
    AICORE_TILING_FIELD(std::int32_t, baseK)
    AICORE_TILING_FIELD(std::int32_t, depthA1)
    AICORE_TILING_FIELD(std::int32_t, depthB1)
    AICORE_TILING_FIELD(std::int32_t, stepM)
    AICORE_TILING_FIELD(std::int32_t, stepN)
    AICORE_TILING_FIELD(std::int32_t, isBias)
    AICORE_TILING_FIELD(std::int32_t, transLength)
    AICORE_TILING_FIELD(std::int32_t, iterateOrder)
    AICORE_TILING_FIELD(std::int32_t, shareMode)
    AICORE_TILING_FIELD(std::int32_t, shareL1Size)
    AICORE_TILING_FIELD(std::int32_t, shareL0CSize)
    AICORE_TILING_FIELD(std::int32_t, shareUbSize)
    AICORE_TILING_FIELD(std::int32_t, batchM)
    AICORE_TILING_FIELD(std::int32_t, batchN)
    AICORE_TILING_FIELD(std::int32_t, singleBatchM)
    AICORE_TILING_FIELD(std::int32_t, singleBatchN)
    AICORE_TILING_FIELD(std::int32_t, stepKa)
    AICORE_TILING_FIELD(std::int32_t, stepKb)
    AICORE_TILING_FIELD(std::int32_t, depthAL1CacheUB)
    AICORE_TILING_FIELD(std::int32_t, depthBL1CacheUB)
    AICORE_TILING_FIELD(std::int32_t, dbL0A)
    AICORE_TILING_FIELD(std::int32_t, dbL0B)
    AICORE_TILING_FIELD(std::int32_t, dbL0C)
    AICORE_TILING_FIELD(std::int32_t, ALayoutInfoB)
    AICORE_TILING_FIELD(std::int32_t, ALayoutInfoS)
    AICORE_TILING_FIELD(std::int32_t, ALayoutInfoN)
    AICORE_TILING_FIELD(std::int32_t, ALayoutInfoG)
    AICORE_TILING_FIELD(std::int32_t, ALayoutInfoD)
    AICORE_TILING_FIELD(std::int32_t, BLayoutInfoB)
    AICORE_TILING_FIELD(std::int32_t, BLayoutInfoS)
    AICORE_TILING_FIELD(std::int32_t, BLayoutInfoN)
    AICORE_TILING_FIELD(std::int32_t, BLayoutInfoG)
    AICORE_TILING_FIELD(std::int32_t, BLayoutInfoD)
    AICORE_TILING_FIELD(std::int32_t, CLayoutInfoB)
    AICORE_TILING_FIELD(std::int32_t, CLayoutInfoS1)
    AICORE_TILING_FIELD(std::int32_t, CLayoutInfoN)
    AICORE_TILING_FIELD(std::int32_t, CLayoutInfoG)
    AICORE_TILING_FIELD(std::int32_t, CLayoutInfoS2)
    AICORE_TILING_FIELD(std::int32_t, BatchNum)
    AICORE_TILING_FIELD(std::int32_t, mxTypePara)
    AICORE_TILING_BYTES()
};

struct UnPadTiling {
    AICORE_TILING_FIELD(std::uint32_t, srcHeight)
    AICORE_TILING_FIELD(std::uint32_t, srcWidth)
    AICORE_TILING_FIELD(std::uint32_t, tmpBuffer1BlockNum)
    AICORE_TILING_FIELD(std::uint32_t, tmpBuffer1RowNum)
    AICORE_TILING_FIELD(std::uint32_t, tmpBuffer2Offset)
    AICORE_TILING_FIELD(std::uint32_t, widthTiling)
    AICORE_TILING_FIELD(std::uint32_t, widthFractal)
    AICORE_TILING_FIELD(std::uint32_t, widthFractalTail)
    AICORE_TILING_BYTES()
};

struct PadTiling {
    AICORE_TILING_FIELD(std::uint32_t, srcHeight)
    AICORE_TILING_FIELD(std::uint32_t, srcWidth)
    AICORE_TILING_FIELD(std::uint32_t, srcOriWidth)
    AICORE_TILING_FIELD(std::uint32_t, widthWithoutLastBlock)
    AICORE_TILING_FIELD(std::uint32_t, blocksPerRow)
    AICORE_TILING_FIELD(std::uint32_t, heightTiling)
    AICORE_TILING_FIELD(std::uint32_t, heightFractal)
    AICORE_TILING_FIELD(std::uint32_t, heightFractalTail)
    AICORE_TILING_FIELD(std::uint32_t, mainLoopOffset)
    AICORE_TILING_FIELD(std::uint32_t, tailBlockOffset)
    AICORE_TILING_FIELD(std::uint32_t, tmpBuffer1BlockNum)
    AICORE_TILING_FIELD(std::uint32_t, tmpBuffer1RowNum)
    AICORE_TILING_FIELD(std::uint32_t, tmpBuffer2Offset)
    AICORE_TILING_FIELD(std::uint32_t, widthTiling)
    AICORE_TILING_FIELD(std::uint32_t, widthFractal)
    AICORE_TILING_FIELD(std::uint32_t, widthFractalTail)
    AICORE_TILING_FIELD(std::uint32_t, widthFractalTailAlingned)
    AICORE_TILING_FIELD(std::uint32_t, brcbTiling)
    AICORE_TILING_FIELD(std::uint32_t, brcbFractal)
    AICORE_TILING_FIELD(std::uint32_t, brcbFractalTail)
    AICORE_TILING_FIELD(std::uint32_t, maxRepeatTimes)
    AICORE_TILING_FIELD(std::uint32_t, brcbTilingRepeatTimes)
    AICORE_TILING_FIELD(std::uint32_t, brcbTilingRepeatTimesTail)
    AICORE_TILING_FIELD(std::uint32_t, brcbFractalTailRepeatTimes)
    AICORE_TILING_FIELD(std::uint32_t, brcbFractalTailRepeatTimesTail)
    AICORE_TILING_FIELD(std::uint32_t, reserved)
    AICORE_TILING_BYTES()
};

struct TopkTiling {
    AICORE_TILING_FIELD(std::int32_t, tmpLocalSize)
    AICORE_TILING_FIELD(std::int32_t, allDataSize)
    AICORE_TILING_FIELD(std::int32_t, innerDataSize)
    AICORE_TILING_FIELD(std::uint32_t, sortRepeat)
    AICORE_TILING_FIELD(std::int32_t, mrgSortRepeat)
    AICORE_TILING_FIELD(std::int32_t, kAlignFourBytes)
    AICORE_TILING_FIELD(std::int32_t, kAlignTwoBytes)
    AICORE_TILING_FIELD(std::int32_t, maskOffset)
    AICORE_TILING_FIELD(std::int32_t, maskVreducev2FourBytes)
    AICORE_TILING_FIELD(std::int32_t, maskVreducev2TwoBytes)
    AICORE_TILING_FIELD(std::int32_t, mrgSortSrc1offset)
    AICORE_TILING_FIELD(std::int32_t, mrgSortSrc2offset)
    AICORE_TILING_FIELD(std::int32_t, mrgSortSrc3offset)
    AICORE_TILING_FIELD(std::int32_t, mrgSortTwoQueueSrc1Offset)
    AICORE_TILING_FIELD(std::int32_t, mrgFourQueueTailPara1)
    AICORE_TILING_FIELD(std::int32_t, mrgFourQueueTailPara2)
    AICORE_TILING_FIELD(std::int32_t, srcIndexOffset)
    AICORE_TILING_FIELD(std::uint32_t, copyUbToUbBlockCount)
    AICORE_TILING_FIELD(std::int32_t, topkMrgSrc1MaskSizeOffset)
    AICORE_TILING_FIELD(std::int32_t, topkNSmallSrcIndexOffset)
    AICORE_TILING_FIELD(std::uint32_t, vreduceValMask0)
    AICORE_TILING_FIELD(std::uint32_t, vreduceValMask1)
    AICORE_TILING_FIELD(std::uint32_t, vreduceIdxMask0)
    AICORE_TILING_FIELD(std::uint32_t, vreduceIdxMask1)
    AICORE_TILING_FIELD(std::uint16_t, vreducehalfValMask0)
    AICORE_TILING_FIELD(std::uint16_t, vreducehalfValMask1)
    AICORE_TILING_FIELD(std::uint16_t, vreducehalfValMask2)
    AICORE_TILING_FIELD(std::uint16_t, vreducehalfValMask3)
    AICORE_TILING_FIELD(std::uint16_t, vreducehalfValMask4)
    AICORE_TILING_FIELD(std::uint16_t, vreducehalfValMask5)
    AICORE_TILING_FIELD(std::uint16_t, vreducehalfValMask6)
    AICORE_TILING_FIELD(std::uint16_t, vreducehalfValMask7)
    AICORE_TILING_BYTES()
};

struct ConfusionTransposeTiling {
    AICORE_TILING_FIELD(std::uint32_t, param0)
    AICORE_TILING_FIELD(std::uint32_t, param1)
    AICORE_TILING_FIELD(std::uint32_t, param2)
    AICORE_TILING_FIELD(std::uint32_t, param3)
    AICORE_TILING_FIELD(std::uint32_t, param4)
    AICORE_TILING_FIELD(std::uint32_t, param5)
    AICORE_TILING_FIELD(std::uint32_t, param6)
    AICORE_TILING_FIELD(std::uint32_t, param7)
    AICORE_TILING_FIELD(std::uint32_t, param8)
    AICORE_TILING_FIELD(std::uint32_t, param9)
    AICORE_TILING_FIELD(std::uint32_t, param10)
    AICORE_TILING_FIELD(std::uint32_t, param11)
    AICORE_TILING_FIELD(std::uint32_t, param12)
    AICORE_TILING_FIELD(std::uint32_t, param13)
    AICORE_TILING_FIELD(std::uint32_t, param14)
    AICORE_TILING_FIELD(std::uint32_t, param15)
    AICORE_TILING_FIELD(std::uint32_t, param16)
    AICORE_TILING_FIELD(std::uint32_t, param17)
    AICORE_TILING_BYTES()
};

// The names of the host part.
namespace optiling {
using ::BatchNormTiling;
using ::ConfusionTransposeTiling;
using ::DeepNormTiling;
using ::GroupNormTiling;
using ::LayerNormGradBetaTiling;
using ::LayerNormGradTiling;
using ::LayerNormSeparateTiling;
using ::LayerNormTiling;
using ::LogSoftMaxTiling;
using ::PadTiling;
using ::RmsNormTiling;
using ::SoftMaxTiling;
using ::TCubeTiling;
using ::TopkTiling;
using ::UnPadTiling;
}  // namespace optiling
namespace AscendC::tiling {
using ::BatchNormTiling;
using ::ConfusionTransposeTiling;
using ::DeepNormTiling;
using ::GroupNormTiling;
using ::LayerNormGradBetaTiling;
using ::LayerNormGradTiling;
using ::LayerNormSeparateTiling;
using ::LayerNormTiling;
using ::LogSoftMaxTiling;
using ::PadTiling;
using ::RmsNormTiling;
using ::SoftMaxTiling;
using ::TCubeTiling;
using ::TopkTiling;
using ::UnPadTiling;
}  // namespace AscendC::tiling
