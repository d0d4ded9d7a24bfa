// SoftMax and its relatives: on each row of a matrix in UB.
//
// Sums and maxima fill a block of 32 bytes per row. The rows are computed in fp32 and rounded once.
#pragma once

#include <vector>

#include "ascendc/vector_engine.h"
#include "kernel_tiling/kernel_tiling.h"

namespace AscendC {

struct SoftMaxShapeInfo {
    std::uint32_t srcM = 0;
    std::uint32_t srcK = 0;
    std::uint32_t oriSrcM = 0;
    std::uint32_t oriSrcK = 0;
};
enum class SoftmaxMode : std::uint8_t { SOFTMAX_NORMAL = 0, SOFTMAX_OUTPUT_WITHOUT_BRC = 1 };
struct SoftmaxConfig {
    bool isCheckTiling = true;
    std::uint32_t oriSrcM = 0;
    std::uint32_t oriSrcK = 0;
    SoftmaxMode mode = SoftmaxMode::SOFTMAX_NORMAL;
};
constexpr SoftmaxConfig SOFTMAX_DEFAULT_CFG{};

/// The tiling that a kernel computes for a shape that the host did not know.
constexpr SoftMaxTiling SoftMaxFlashV2TilingFunc(
    const SoftMaxShapeInfo& shape, std::uint32_t dataTypeSize1, std::uint32_t /*dataTypeSize2*/,
    std::uint32_t /*localWorkSpaceSize*/, bool /*isUpdate*/ = false, bool /*isBasicBlock*/ = false,
    bool /*isDataFormatNZ*/ = false, bool /*isFlashOutputBrc*/ = false) {
    SoftMaxTiling tiling{};
    tiling.srcM = tiling.outMaxM = shape.srcM;
    tiling.srcK = shape.srcK;
    tiling.srcSize = shape.srcM * shape.srcK;
    tiling.outMaxK = 32 / dataTypeSize1;
    tiling.outMaxSize = tiling.outMaxM * tiling.outMaxK;
    return tiling;
}

}  // namespace AscendC

namespace aicore {

using AscendC::SoftMaxShapeInfo;

/// A matrix of rows in UB, as rows or in the format NZ (groups of 16 columns).
struct Rows {
    std::uint32_t rows = 0;
    std::uint32_t columns = 0;
    std::uint32_t kept = 0;  // columns that count; those behind them are padding
    bool is_nz = false;

    std::uint64_t index(std::uint32_t row, std::uint32_t column) const {
        return is_nz ? std::uint64_t{column / 16} * rows * 16 + row * 16U + column % 16
                     : std::uint64_t{row} * columns + column;
    }
    std::uint64_t size() const { return std::uint64_t{rows} * columns; }
};

template <class Tiling>
Rows rows_of(const Tiling& tiling, const SoftMaxShapeInfo& shape, bool is_nz) {
    const bool given = shape.srcM != 0 && shape.srcK != 0;
    Rows rows{given ? shape.srcM : tiling.srcM, given ? shape.srcK : tiling.srcK, 0, is_nz};
    rows.kept = given && shape.oriSrcK != 0 ? shape.oriSrcK : rows.columns;
    return rows;
}

/// One number of each row, which fills a block.
template <class T>
struct RowNumbers {
    static constexpr std::uint32_t per_row = 32 / sizeof(T);
    const LocalTensor<T>& tensor;

    void note(const Instruction& instruction, std::uint32_t rows, bool writes) const {
        tensor.use(instruction, 0, std::uint64_t{rows} * 32, writes);
    }
    float at(std::uint32_t row) const { return widen(tensor.data()[row * per_row]); }
    void set(std::uint32_t row, float value) const {
        std::fill_n(tensor.data() + row * per_row, per_row, static_cast<T>(value));
    }
};

template <class T>
std::vector<float> row_values(const LocalTensor<T>& tensor, const Rows& rows, std::uint32_t row) {
    std::vector<float> values(rows.kept);
    for (std::uint32_t column = 0; column < rows.kept; ++column) {
        values[column] = widen(tensor.data()[rows.index(row, column)]);
    }
    return values;
}

inline float largest(const std::vector<float>& values) {
    return *std::max_element(values.begin(), values.end());
}

/// Replace values by exp(value - maximum) and return their sum.
inline float exponentials(std::vector<float>& values, float maximum) {
    float sum = 0;
    for (float& value : values) {
        value = std::exp(value - maximum);
        sum += value;
    }
    return sum;
}

template <class T>
void put_row(const LocalTensor<T>& tensor, const Rows& rows, std::uint32_t row,
             const std::vector<float>& values) {
    for (std::uint32_t column = 0; column < rows.kept; ++column) {
        tensor.data()[rows.index(row, column)] = static_cast<T>(values[column]);
    }
}

template <class T>
void note_rows(const Instruction& instruction, const LocalTensor<T>& tensor, const Rows& rows,
               bool writes) {
    require_vector_operand(instruction, tensor);
    tensor.use(instruction, 0, rows.size() * sizeof(T), writes);
}

/// The softmax of each row, with the sums and maxima if they are wanted.
template <class T, class U>
void softmax(Site site, const LocalTensor<T>& to, const LocalTensor<U>* sum,
             const LocalTensor<U>* maximum, const LocalTensor<T>& from, const Rows& rows) {
    const Instruction instruction{"SoftMax", Pipe::v, site};
    note_rows(instruction, from, rows, false);
    note_rows(instruction, to, rows, true);
    if (sum != nullptr) {
        RowNumbers<U>{*sum}.note(instruction, rows.rows, true);
        RowNumbers<U>{*maximum}.note(instruction, rows.rows, true);
    }
    for (std::uint32_t row = 0; row < rows.rows; ++row) {
        std::vector<float> values = row_values(from, rows, row);
        const float top = largest(values);
        const float total = exponentials(values, top);
        for (float& value : values) {
            value /= total;
        }
        put_row(to, rows, row, values);
        if (sum != nullptr) {
            RowNumbers<U>{*sum}.set(row, total);
            RowNumbers<U>{*maximum}.set(row, top);
        }
    }
}

/// exp(x - maximum) of each row, and what brings earlier parts of the row to the same maximum.
template <bool updates, class T, class U>
void softmax_flash(Site site, const LocalTensor<T>& to, const LocalTensor<U>& sum,
                   const LocalTensor<U>& maximum, const LocalTensor<T>& from,
                   const LocalTensor<T>& factor, const LocalTensor<U>& sum_before,
                   const LocalTensor<U>& maximum_before, const Rows& rows) {
    const Instruction instruction{"SoftmaxFlashV2", Pipe::v, site};
    note_rows(instruction, from, rows, false);
    note_rows(instruction, to, rows, true);
    if (updates) {
        RowNumbers<U>{sum_before}.note(instruction, rows.rows, false);
        RowNumbers<U>{maximum_before}.note(instruction, rows.rows, false);
        RowNumbers<T>{factor}.note(instruction, rows.rows, true);
    }
    RowNumbers<U>{sum}.note(instruction, rows.rows, true);
    RowNumbers<U>{maximum}.note(instruction, rows.rows, true);
    for (std::uint32_t row = 0; row < rows.rows; ++row) {
        std::vector<float> values = row_values(from, rows, row);
        float top = largest(values);
        float carried = 0;
        if (updates) {
            const float before = RowNumbers<U>{maximum_before}.at(row);
            top = std::max(top, before);
            const float scale = std::exp(before - top);
            carried = scale * RowNumbers<U>{sum_before}.at(row);
            RowNumbers<T>{factor}.set(row, scale);
        }
        const float total = exponentials(values, top) + carried;
        put_row(to, rows, row, values);
        RowNumbers<U>{sum}.set(row, total);
        RowNumbers<U>{maximum}.set(row, top);
    }
}

}  // namespace aicore

namespace AscendC {

template <class T, bool isReuseSource = false, bool isBasicBlock = false,
          bool isDataFormatNZ = false, const SoftmaxConfig& config = SOFTMAX_DEFAULT_CFG, class U>
void SoftMax(const LocalTensor<T>& dst, const LocalTensor<U>& sum, const LocalTensor<U>& maximum,
             const LocalTensor<T>& src, const SoftMaxTiling& tiling,
             const SoftMaxShapeInfo& shape = {}, aicore::Site site = aicore::Site::here()) {
    aicore::softmax(site, dst, &sum, &maximum, src, aicore::rows_of(tiling, shape, isDataFormatNZ));
}
template <class T, bool isReuseSource = false, bool isBasicBlock = false,
          bool isDataFormatNZ = false, const SoftmaxConfig& config = SOFTMAX_DEFAULT_CFG, class U>
void SoftMax(const LocalTensor<T>& dst, const LocalTensor<U>& sum, const LocalTensor<U>& maximum,
             const LocalTensor<T>& src, const LocalTensor<std::uint8_t>& /*sharedTmpBuffer*/,
             const SoftMaxTiling& tiling, const SoftMaxShapeInfo& shape = {},
             aicore::Site site = aicore::Site::here()) {
    aicore::softmax(site, dst, &sum, &maximum, src, aicore::rows_of(tiling, shape, isDataFormatNZ));
}
template <class T, bool isReuseSource = false, bool isBasicBlock = false,
          const SoftmaxConfig& config = SOFTMAX_DEFAULT_CFG>
void SoftMax(const LocalTensor<T>& dst, const LocalTensor<T>& src, const SoftMaxTiling& tiling,
             const SoftMaxShapeInfo& shape = {}, aicore::Site site = aicore::Site::here()) {
    const LocalTensor<T>* const none = nullptr;
    aicore::softmax(site, dst, none, none, src, aicore::rows_of(tiling, shape, false));
}
template <class T, bool isReuseSource = false, bool isBasicBlock = false,
          const SoftmaxConfig& config = SOFTMAX_DEFAULT_CFG>
void SoftMax(const LocalTensor<T>& dst, const LocalTensor<T>& src,
             const LocalTensor<std::uint8_t>& /*sharedTmpBuffer*/, const SoftMaxTiling& tiling,
             const SoftMaxShapeInfo& shape = {}, aicore::Site site = aicore::Site::here()) {
    const LocalTensor<T>* const none = nullptr;
    aicore::softmax(site, dst, none, none, src, aicore::rows_of(tiling, shape, false));
}

/// exp(x - maximum) / sum with sums and maxima that are known.
template <class T, bool isReuseSource = false, bool isBasicBlock = false,
          bool isDataFormatNZ = false, const SoftmaxConfig& config = SOFTMAX_DEFAULT_CFG, class U>
void SimpleSoftMax(const LocalTensor<T>& dst, const LocalTensor<U>& sum,
                   const LocalTensor<U>& maximum, const LocalTensor<T>& src,
                   const SoftMaxTiling& tiling, const SoftMaxShapeInfo& shape = {},
                   aicore::Site site = aicore::Site::here()) {
    const aicore::Instruction instruction{"SimpleSoftMax", aicore::Pipe::v, site};
    const aicore::Rows rows = aicore::rows_of(tiling, shape, isDataFormatNZ);
    aicore::note_rows(instruction, src, rows, false);
    aicore::RowNumbers<U>{sum}.note(instruction, rows.rows, false);
    aicore::RowNumbers<U>{maximum}.note(instruction, rows.rows, false);
    aicore::note_rows(instruction, dst, rows, true);
    for (std::uint32_t row = 0; row < rows.rows; ++row) {
        std::vector<float> values = aicore::row_values(src, rows, row);
        aicore::exponentials(values, aicore::RowNumbers<U>{maximum}.at(row));
        for (float& value : values) {
            value /= aicore::RowNumbers<U>{sum}.at(row);
        }
        aicore::put_row(dst, rows, row, values);
    }
}
template <class T, bool isReuseSource = false, bool isBasicBlock = false,
          bool isDataFormatNZ = false, const SoftmaxConfig& config = SOFTMAX_DEFAULT_CFG, class U>
void SimpleSoftMax(const LocalTensor<T>& dst, const LocalTensor<U>& sum,
                   const LocalTensor<U>& maximum, const LocalTensor<T>& src,
                   const LocalTensor<std::uint8_t>& /*sharedTmpBuffer*/,
                   const SoftMaxTiling& tiling, const SoftMaxShapeInfo& shape = {},
                   aicore::Site site = aicore::Site::here()) {
    SimpleSoftMax<T, isReuseSource, isBasicBlock, isDataFormatNZ, config>(dst, sum, maximum, src,
                                                                          tiling, shape, site);
}

/// Fill the rows whose maximum has the bits `from` with `to`; whether there is such a row.
template <class T, class U, bool isDataFormatNZ = false, std::uint8_t stepSizeMode = 0>
bool AdjustSoftMaxRes(const LocalTensor<T>& softMaxRes, const LocalTensor<U>& maximum,
                      std::uint32_t from, aicore::Given<T> to, const SoftMaxShapeInfo& shape,
                      aicore::Site site = aicore::Site::here()) {
    static_assert(stepSizeMode == 0 || !isDataFormatNZ,
                  "AdjustSoftMaxRes: with a stepSizeMode, maxTensor must be ND");
    const aicore::Instruction instruction{"AdjustSoftMaxRes", aicore::Pipe::v, site};
    const aicore::Rows rows = aicore::rows_of(shape, shape, isDataFormatNZ);
    constexpr std::uint32_t step = stepSizeMode == 0 ? aicore::RowNumbers<U>::per_row : 1;
    maximum.use(instruction, 0, std::uint64_t{rows.rows} * step * sizeof(U), false);
    bool found = false;
    for (std::uint32_t row = 0; row < rows.rows; ++row) {
        std::uint32_t bits = 0;
        std::memcpy(&bits, maximum.data() + row * step, sizeof(U));
        if (bits == from) {
            found = true;
            aicore::put_row(softMaxRes, rows, row,
                            std::vector<float>(rows.kept, aicore::widen(to)));
        }
    }
    if (found) {
        aicore::note_rows(instruction, softMaxRes, rows, true);
    }
    return found;
}

/// The logarithm of the softmax.
template <class T, bool isReuseSource = false, bool isDataFormatNZ = false>
void LogSoftMax(const LocalTensor<T>& dst, const LocalTensor<T>& sum, const LocalTensor<T>& maximum,
                const LocalTensor<T>& src, const LocalTensor<std::uint8_t>& /*sharedTmpBuffer*/,
                const LogSoftMaxTiling& tiling, const SoftMaxShapeInfo& shape = {},
                aicore::Site site = aicore::Site::here()) {
    const aicore::Rows rows = aicore::rows_of(tiling, shape, isDataFormatNZ);
    aicore::softmax(site, dst, &sum, &maximum, src, rows);
    for (std::uint32_t row = 0; row < rows.rows; ++row) {
        for (std::uint32_t column = 0; column < rows.kept; ++column) {
            T& value = dst.data()[rows.index(row, column)];
            value = static_cast<T>(std::log10(aicore::widen(value)));
        }
    }
}

template <class T, bool isUpdate = false, bool isReuseSource = false, bool isBasicBlock = false,
          bool isDataFormatNZ = false, const SoftmaxConfig& config = SOFTMAX_DEFAULT_CFG, class U>
void SoftmaxFlashV2(const LocalTensor<T>& dst, const LocalTensor<U>& expSum,
                    const LocalTensor<U>& maximum, const LocalTensor<T>& src,
                    const LocalTensor<T>& expMax, const LocalTensor<U>& inExpSum,
                    const LocalTensor<U>& inMax, const SoftMaxTiling& tiling,
                    const SoftMaxShapeInfo& shape = {}, aicore::Site site = aicore::Site::here()) {
    aicore::softmax_flash<isUpdate>(site, dst, expSum, maximum, src, expMax, inExpSum, inMax,
                                    aicore::rows_of(tiling, shape, isDataFormatNZ));
}
template <class T, bool isUpdate = false, bool isReuseSource = false, bool isBasicBlock = false,
          bool isDataFormatNZ = false, const SoftmaxConfig& config = SOFTMAX_DEFAULT_CFG, class U>
void SoftmaxFlashV2(const LocalTensor<T>& dst, const LocalTensor<U>& expSum,
                    const LocalTensor<U>& maximum, const LocalTensor<T>& src,
                    const LocalTensor<T>& expMax, const LocalTensor<U>& inExpSum,
                    const LocalTensor<U>& inMax,
                    const LocalTensor<std::uint8_t>& /*sharedTmpBuffer*/,
                    const SoftMaxTiling& tiling, const SoftMaxShapeInfo& shape = {},
                    aicore::Site site = aicore::Site::here()) {
    aicore::softmax_flash<isUpdate>(site, dst, expSum, maximum, src, expMax, inExpSum, inMax,
                                    aicore::rows_of(tiling, shape, isDataFormatNZ));
}

/// `(grad - sum(grad * y)) * y` of each row; with isFront only the sum.
template <class T, bool isReuseSource = false, bool isDataFormatNZ = false>
void SoftmaxGrad(const LocalTensor<T>& dst, const LocalTensor<T>& grad, const LocalTensor<T>& src,
                 const SoftMaxTiling& tiling, bool isFront = false,
                 const SoftMaxShapeInfo& shape = {}, aicore::Site site = aicore::Site::here()) {
    const aicore::Instruction instruction{"SoftmaxGrad", aicore::Pipe::v, site};
    const aicore::Rows rows = aicore::rows_of(tiling, shape, isDataFormatNZ);
    aicore::note_rows(instruction, grad, rows, false);
    aicore::note_rows(instruction, src, rows, false);
    if (isFront) {
        aicore::RowNumbers<T>{dst}.note(instruction, rows.rows, true);
    } else {
        aicore::note_rows(instruction, dst, rows, true);
    }
    for (std::uint32_t row = 0; row < rows.rows; ++row) {
        const std::vector<float> gradients = aicore::row_values(grad, rows, row);
        std::vector<float> values = aicore::row_values(src, rows, row);
        float sum = 0;
        for (std::uint32_t column = 0; column < rows.kept; ++column) {
            sum += gradients[column] * values[column];
        }
        if (isFront) {
            aicore::RowNumbers<T>{dst}.set(row, sum);
            continue;
        }
        for (std::uint32_t column = 0; column < rows.kept; ++column) {
            values[column] = (gradients[column] - sum) * values[column];
        }
        aicore::put_row(dst, rows, row, values);
    }
}
template <class T, bool isReuseSource = false, bool isDataFormatNZ = false>
void SoftmaxGrad(const LocalTensor<T>& dst, const LocalTensor<T>& grad, const LocalTensor<T>& src,
                 const LocalTensor<std::uint8_t>& /*sharedTmpBuffer*/, const SoftMaxTiling& tiling,
                 bool isFront = false, const SoftMaxShapeInfo& shape = {},
                 aicore::Site site = aicore::Site::here()) {
    SoftmaxGrad<T, isReuseSource, isDataFormatNZ>(dst, grad, src, tiling, isFront, shape, site);
}
template <class T, bool isBasicBlock = false, bool isDataFormatNZ = false>
void SoftmaxGradFront(const LocalTensor<T>& dst, const LocalTensor<T>& grad,
                      const LocalTensor<T>& src, const SoftMaxTiling& tiling,
                      const SoftMaxShapeInfo& shape = {},
                      aicore::Site site = aicore::Site::here()) {
    SoftmaxGrad<T, false, isDataFormatNZ>(dst, grad, src, tiling, true, shape, site);
}
template <class T, bool isBasicBlock = false, bool isDataFormatNZ = false>
void SoftmaxGradFront(const LocalTensor<T>& dst, const LocalTensor<T>& grad,
                      const LocalTensor<T>& src,
                      const LocalTensor<std::uint8_t>& /*sharedTmpBuffer*/,
                      const SoftMaxTiling& tiling, const SoftMaxShapeInfo& shape = {},
                      aicore::Site site = aicore::Site::here()) {
    SoftmaxGrad<T, false, isDataFormatNZ>(dst, grad, src, tiling, true, shape, site);
}

}  // namespace AscendC
