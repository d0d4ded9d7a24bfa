// Welford's mean and variance of rows that do not fit in UB: WelfordUpdate takes one part of the
// row after another, WelfordFinalize combines the columns of the parts. Both compute in fp32.
#pragma once

#include <optional>

#include "ascendc/vector_engine.h"

namespace aicore {

/// The length of the axis that Welford's functions take, which is whole blocks of 32 bytes.
inline void require_welford_length(const Instruction& instruction, std::uint32_t length,
                                   std::uint32_t bytes) {
    core->require(length > 0 && length * bytes % 32 == 0, "alignment",
                  "abLength of Welford's functions must be a multiple of 32 bytes",
                  instruction.site);
}

/// How many elements each column stands for: a number per column, or one for the first columns and
/// another for the rest.
struct WelfordCounts {
    const std::int32_t* each = nullptr;
    std::uint32_t head = 0;
    std::uint32_t head_length = 0;
    std::uint32_t tail = 0;

    float operator[](std::uint32_t column) const {
        return each != nullptr ? static_cast<float>(each[column])
                               : static_cast<float>(column < head_length ? head : tail);
    }
};

/// Store one number, and zeros in the rest of its block.
inline void store_in_block(const AscendC::LocalTensor<float>& to, float value) {
    std::fill_n(to.data(), 8, 0.0F);
    to.data()[0] = value;
}

}  // namespace aicore

namespace AscendC {

struct WelfordUpdateConfig {
    bool isInplace = false;
};
constexpr WelfordUpdateConfig WFUPDATE_DEFAULT_CFG = {false};

struct WelfordUpdateParam {
    std::uint32_t rnLength;
    std::uint32_t abLength;
    std::uint32_t abComputeLength;
    float nRec;
};

struct WelfordFinalizeConfig {
    bool isCorrection = false;
};
constexpr WelfordFinalizeConfig WFFINALIZE_DEFAULT_CFG = {false};

struct WelfordFinalizePara {
    std::uint32_t rnLength;
    std::uint32_t abLength;
    std::uint32_t headCount;
    std::uint32_t headCountLength;
    std::uint32_t tailCount;
    std::uint32_t tailCountLength;
    float abRec;
    float rRec;
    float rRecWithCorrection = 0;
};

/// The means and the sums of squares of the columns after one more part. With `isInplace`, columns
/// behind abComputeLength get the sources; without it they are left as they are.
template <class T, class U, bool isReuseSource = false,
          const WelfordUpdateConfig& config = WFUPDATE_DEFAULT_CFG>
void WelfordUpdate(const LocalTensor<U>& outputMean, const LocalTensor<U>& outputVariance,
                   const LocalTensor<U>& inputMean, const LocalTensor<U>& inputVariance,
                   const LocalTensor<T>& inputX, const LocalTensor<std::uint8_t>& /*sharedTmp*/,
                   const WelfordUpdateParam& para, aicore::Site site = aicore::Site::here()) {
    static_assert(std::is_same_v<T, half> || std::is_same_v<T, float>,
                  "WelfordUpdate: inputX must be half or float");
    static_assert(std::is_same_v<U, float>, "WelfordUpdate: means and variances must be float");
    const aicore::Instruction instruction{"WelfordUpdate", aicore::Pipe::v, site};
    aicore::core->require(para.rnLength == 1, "range", "WelfordUpdate: rnLength must be 1", site);
    aicore::require_welford_length(instruction, para.abLength, sizeof(T));
    if (para.abComputeLength == 0 || para.abComputeLength > para.abLength) {
        aicore::core->end("range",
                          "WelfordUpdate: abComputeLength must be 1 to abLength, got " +
                              std::to_string(para.abComputeLength),
                          site);
    }
    const std::uint32_t count = config.isInplace ? para.abLength : para.abComputeLength;
    for (const LocalTensor<U>* to : {&outputMean, &outputVariance}) {
        to->require_aligned(instruction, aicore::block_bytes);
        aicore::require_apart(instruction, *to, count, inputMean, count);
        aicore::require_apart(instruction, *to, count, inputVariance, count);
        aicore::require_apart(instruction, *to, count, inputX, para.abComputeLength);
    }
    inputX.use(instruction, 0, para.abComputeLength * sizeof(T), false);
    inputMean.use(instruction, 0, count * sizeof(U), false);
    inputVariance.use(instruction, 0, count * sizeof(U), false);
    outputMean.use(instruction, 0, count * sizeof(U), true);
    outputVariance.use(instruction, 0, count * sizeof(U), true);
    for (std::uint32_t index = 0; index < count; ++index) {
        float mean = inputMean.data()[index];
        float variance = inputVariance.data()[index];
        if (index < para.abComputeLength) {
            const float x = aicore::widen(inputX.data()[index]);
            const float before = x - mean;
            mean += before * para.nRec;
            variance += before * (x - mean);
        }
        outputMean.data()[index] = mean;
        outputVariance.data()[index] = variance;
    }
}
template <class T, class U, bool isReuseSource = false,
          const WelfordUpdateConfig& config = WFUPDATE_DEFAULT_CFG>
void WelfordUpdate(const LocalTensor<U>& outputMean, const LocalTensor<U>& outputVariance,
                   const LocalTensor<U>& inputMean, const LocalTensor<U>& inputVariance,
                   const LocalTensor<T>& inputX, const WelfordUpdateParam& para,
                   aicore::Site site = aicore::Site::here()) {
    WelfordUpdate<T, U, isReuseSource, config>(outputMean, outputVariance, inputMean, inputVariance,
                                               inputX, LocalTensor<std::uint8_t>(), para, site);
}

}  // namespace AscendC

namespace aicore {

/// Combine the columns. Without counts for the columns, each stands for as many elements as there
/// were parts, and abRec and rRec weigh them.
inline void finalize_welford(const AscendC::LocalTensor<float>& outputMean,
                             const AscendC::LocalTensor<float>& outputVariance,
                             const AscendC::LocalTensor<float>& inputMean,
                             const AscendC::LocalTensor<float>& inputVariance,
                             const std::optional<WelfordCounts>& counts,
                             const AscendC::WelfordFinalizePara& para,
                             const Instruction& instruction) {
    require_welford_length(instruction, para.abLength, sizeof(float));
    core->require(para.headCountLength + para.tailCountLength == para.abLength, "range",
                  "WelfordFinalize: headCountLength + tailCountLength must be abLength",
                  instruction.site);
    core->require(para.tailCount != 0 || para.tailCountLength == 0, "range",
                  "WelfordFinalize: tailCountLength must be 0 if tailCount is 0", instruction.site);
    for (const AscendC::LocalTensor<float>* to : {&outputMean, &outputVariance}) {
        to->require_aligned(instruction, block_bytes);
        require_apart(instruction, *to, 8, inputMean, para.abLength);
        require_apart(instruction, *to, 8, inputVariance, para.abLength);
    }
    inputMean.use(instruction, 0, para.abLength * sizeof(float), false);
    inputVariance.use(instruction, 0, para.abLength * sizeof(float), false);
    outputMean.use(instruction, 0, block_bytes, true);
    outputVariance.use(instruction, 0, block_bytes, true);
    float mean = 0;
    for (std::uint32_t column = 0; column < para.abLength; ++column) {
        const float value = inputMean.data()[column];
        mean += counts ? value * (*counts)[column] * para.rRec : value * para.abRec;
    }
    float variance = 0;
    for (std::uint32_t column = 0; column < para.abLength; ++column) {
        const float difference = inputMean.data()[column] - mean;
        const float weight = counts ? (*counts)[column] : static_cast<float>(para.rnLength);
        variance += (inputVariance.data()[column] + weight * difference * difference) * para.rRec;
    }
    store_in_block(outputMean, mean);
    store_in_block(outputVariance, variance);
}

}  // namespace aicore

namespace AscendC {

/// The mean and the variance of the row, of which column `i` has `counts[i]` elements.
template <bool isReuseSource = false, const WelfordFinalizeConfig& config = WFFINALIZE_DEFAULT_CFG>
void WelfordFinalize(const LocalTensor<float>& outputMean, const LocalTensor<float>& outputVariance,
                     const LocalTensor<float>& inputMean, const LocalTensor<float>& inputVariance,
                     const LocalTensor<std::int32_t>& counts,
                     const LocalTensor<std::uint8_t>& /*sharedTmp*/,
                     const WelfordFinalizePara& para, aicore::Site site = aicore::Site::here()) {
    static_assert(!config.isCorrection,
                  "WelfordFinalize: isCorrection is only supported on Ascend 950");
    const aicore::Instruction instruction{"WelfordFinalize", aicore::Pipe::v, site};
    counts.use(instruction, 0, para.abLength * sizeof(std::int32_t), false);
    for (const LocalTensor<float>* to : {&outputMean, &outputVariance}) {
        aicore::require_apart(instruction, *to, 8, counts, para.abLength);
    }
    aicore::finalize_welford(outputMean, outputVariance, inputMean, inputVariance,
                             aicore::WelfordCounts{counts.data()}, para, instruction);
}
/// Columns in front have headCount elements, those behind headCountLength tailCount; if there are
/// none of these, each has rnLength.
template <bool isReuseSource = false, const WelfordFinalizeConfig& config = WFFINALIZE_DEFAULT_CFG>
void WelfordFinalize(const LocalTensor<float>& outputMean, const LocalTensor<float>& outputVariance,
                     const LocalTensor<float>& inputMean, const LocalTensor<float>& inputVariance,
                     const LocalTensor<std::uint8_t>& /*sharedTmp*/,
                     const WelfordFinalizePara& para, aicore::Site site = aicore::Site::here()) {
    static_assert(!config.isCorrection,
                  "WelfordFinalize: isCorrection is only supported on Ascend 950");
    const aicore::Instruction instruction{"WelfordFinalize", aicore::Pipe::v, site};
    std::optional<aicore::WelfordCounts> counts;
    if (para.tailCount != 0 && para.tailCountLength != 0) {
        counts = {nullptr, para.headCount, para.headCountLength, para.tailCount};
    }
    aicore::finalize_welford(outputMean, outputVariance, inputMean, inputVariance, counts, para,
                             instruction);
}
template <bool isReuseSource = false, const WelfordFinalizeConfig& config = WFFINALIZE_DEFAULT_CFG>
void WelfordFinalize(const LocalTensor<float>& outputMean, const LocalTensor<float>& outputVariance,
                     const LocalTensor<float>& inputMean, const LocalTensor<float>& inputVariance,
                     const LocalTensor<std::int32_t>& counts, const WelfordFinalizePara& para,
                     aicore::Site site = aicore::Site::here()) {
    WelfordFinalize<isReuseSource, config>(outputMean, outputVariance, inputMean, inputVariance,
                                           counts, LocalTensor<std::uint8_t>(), para, site);
}
template <bool isReuseSource = false, const WelfordFinalizeConfig& config = WFFINALIZE_DEFAULT_CFG>
void WelfordFinalize(const LocalTensor<float>& outputMean, const LocalTensor<float>& outputVariance,
                     const LocalTensor<float>& inputMean, const LocalTensor<float>& inputVariance,
                     const WelfordFinalizePara& para, aicore::Site site = aicore::Site::here()) {
    WelfordFinalize<isReuseSource, config>(outputMean, outputVariance, inputMean, inputVariance,
                                           LocalTensor<std::uint8_t>(), para, site);
}

}  // namespace AscendC
