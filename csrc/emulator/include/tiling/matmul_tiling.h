// The tilings of Matmul objects: how the matrices are divided among cores and into blocks.
#pragma once

#include <algorithm>
#include <cstdint>

#include "ascendc/without_dtype_numbers.h"
#include "kernel_tiling/kernel_tiling.h"
#include "tiling/matmul_division.h"
#include "tiling/platform/platform_ascendc.h"

namespace matmul_tiling {

enum class TPosition : std::uint8_t {
    GM,
    A1,
    A2,
    B1,
    B2,
    C1,
    C2,
    CO1,
    CO2,
    VECIN,
    VECOUT,
    VECCALC,
    LCM = VECCALC,
    SPM,
    SHM = SPM,
    TSCM,
    MAX
};
enum class CubeFormat : std::uint8_t {
    ND,
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
enum class DataType : std::uint8_t {
    DT_FLOAT = 0,
    DT_FLOAT16 = 1,
    DT_INT8 = 2,
    DT_INT32 = 3,
    DT_UINT8 = 4,
    DT_BFLOAT16 = 27,
    DT_BF16 = 27,
    DT_INT4 = 29
};
enum class MatrixTraverse : std::uint8_t { NOSET = 0, FIRSTM, FIRSTN };
enum class MatrixMadType : std::uint8_t { NORMAL = 0, HF32, MXMODE };
enum class DequantType : std::uint8_t { SCALAR = 0, TENSOR };
enum class ScheduleType : std::uint8_t { INNER_PRODUCT = 0, OUTER_PRODUCT, N_BUFFER_33 };

struct MatmulConfigParams {
    MatmulConfigParams(std::int32_t type = 1, bool l1_cache_ub = false,
                       ScheduleType schedule = ScheduleType::INNER_PRODUCT,
                       MatrixTraverse order = MatrixTraverse::NOSET, bool splits_k = false)
        : mmConfigType(type),
          enableL1CacheUB(l1_cache_ub),
          scheduleType(schedule),
          traverse(order),
          enVecND2NZ(splits_k) {}
    std::int32_t mmConfigType;
    bool enableL1CacheUB;
    ScheduleType scheduleType;
    MatrixTraverse traverse;
    bool enVecND2NZ;
};

/// Fills a TCubeTiling. The division is this project's: a device's tiling differs in its numbers,
/// and a kernel that follows the tiling gives the same result.
class MatmulApiTilingBase {
  public:
    MatmulApiTilingBase() = default;
    explicit MatmulApiTilingBase(const platform_ascendc::PlatformAscendC& platform) {
        std::uint64_t bytes = 0;
        platform.GetCoreMemSize(platform_ascendc::CoreMemType::L0_C, bytes);
        l0c_bytes_ = static_cast<std::int64_t>(bytes);
    }

    std::int32_t SetAType(TPosition /*position*/, CubeFormat /*format*/, DataType type,
                          bool transposed = false) {
        element_bytes_ = type == DataType::DT_FLOAT || type == DataType::DT_INT32  ? 4
                         : type == DataType::DT_INT8 || type == DataType::DT_UINT8 ? 1
                                                                                   : 2;
        transposed_a_ = transposed;
        return 0;
    }
    std::int32_t SetBType(TPosition /*position*/, CubeFormat /*format*/, DataType /*type*/,
                          bool transposed = false) {
        transposed_b_ = transposed;
        return 0;
    }
    std::int32_t SetCType(TPosition position, CubeFormat /*format*/, DataType /*type*/) {
        result_in_ub_ = position != TPosition::GM;
        return 0;
    }
    std::int32_t SetBiasType(TPosition /*position*/, CubeFormat /*format*/, DataType /*type*/) {
        return 0;
    }
    std::int32_t SetBias(bool has) { return EnableBias(has); }
    std::int32_t EnableBias(bool has = false) {
        bias_ = has;
        return 0;
    }
    std::int32_t SetShape(std::int32_t m, std::int32_t n, std::int32_t k) {
        m_ = m;
        n_ = n;
        k_ = k;
        return 0;
    }
    std::int32_t SetSingleShape(std::int32_t m = -1, std::int32_t n = -1, std::int32_t k = -1) {
        single_m_ = m;
        single_n_ = n;
        single_k_ = k;
        return 0;
    }
    std::int32_t SetOrgShape(std::int32_t m, std::int32_t n, std::int32_t k) {
        return SetOrgShape(m, n, k, k);
    }
    std::int32_t SetOrgShape(std::int32_t m, std::int32_t n, std::int32_t ka, std::int32_t kb) {
        org_m_ = m;
        org_n_ = n;
        org_ka_ = ka;
        org_kb_ = kb;
        return 0;
    }
    std::int32_t SetDim(std::int32_t cores) {
        cores_ = cores;
        return 0;
    }
    std::int32_t SetFixSplit(std::int32_t m = -1, std::int32_t n = -1, std::int32_t k = -1) {
        base_m_ = m;
        base_n_ = n;
        base_k_ = k;
        return 0;
    }
    std::int32_t SetTraverse(MatrixTraverse order) {
        order_ = order;
        return 0;
    }
    std::int32_t EnableMultiCoreSplitK(bool splits) {
        splits_k_ = splits;
        return 0;
    }
    std::int32_t SetBatchNum(std::int32_t batch) {
        batch_ = batch;
        return 0;
    }
    std::int32_t SetBatchInfoForNormal(std::int32_t batch_a, std::int32_t batch_b, std::int32_t m,
                                       std::int32_t n, std::int32_t k) {
        batch_a_ = batch_a;
        batch_b_ = batch_b;
        return SetShape(m, n, k);
    }
    std::int32_t SetALayout(std::int32_t b, std::int32_t s, std::int32_t n, std::int32_t g,
                            std::int32_t d) {
        layouts_.ALayoutInfoB = b;
        layouts_.ALayoutInfoS = s;
        layouts_.ALayoutInfoN = n;
        layouts_.ALayoutInfoG = g;
        layouts_.ALayoutInfoD = d;
        return 0;
    }
    std::int32_t SetBLayout(std::int32_t b, std::int32_t s, std::int32_t n, std::int32_t g,
                            std::int32_t d) {
        layouts_.BLayoutInfoB = b;
        layouts_.BLayoutInfoS = s;
        layouts_.BLayoutInfoN = n;
        layouts_.BLayoutInfoG = g;
        layouts_.BLayoutInfoD = d;
        return 0;
    }
    std::int32_t SetCLayout(std::int32_t b, std::int32_t s1, std::int32_t n, std::int32_t g,
                            std::int32_t s2) {
        layouts_.CLayoutInfoB = b;
        layouts_.CLayoutInfoS1 = s1;
        layouts_.CLayoutInfoN = n;
        layouts_.CLayoutInfoG = g;
        layouts_.CLayoutInfoS2 = s2;
        return 0;
    }
    std::int32_t SetBufferSpace(std::int32_t /*l1*/ = -1, std::int32_t l0c = -1,
                                std::int32_t /*ub*/ = -1, std::int32_t /*bt*/ = -1) {
        l0c_bytes_ = l0c > 0 ? l0c : l0c_bytes_;
        return 0;
    }
    /// The limits of singleCoreM, N and K.
    std::int32_t SetSingleRange(std::int32_t max_m = -1, std::int32_t max_n = -1,
                                std::int32_t max_k = -1, std::int32_t min_m = -1,
                                std::int32_t min_n = -1, std::int32_t min_k = -1) {
        limits_[0].least = min_m;
        limits_[0].most = max_m;
        limits_[1].least = min_n;
        limits_[1].most = max_n;
        limits_[2].least = min_k;
        limits_[2].most = max_k;
        return 0;
    }
    /// What singleCoreM, N and K are multiples of.
    std::int32_t SetAlignSplit(std::int32_t m, std::int32_t n, std::int32_t k) {
        limits_[0].unit = m;
        limits_[1].unit = n;
        limits_[2].unit = k;
        return 0;
    }
    /// CANN does not support limits of baseM, N and K either.
    template <class... Limits>
    std::int32_t SetSplitRange(Limits... /*limits*/) {
        return 0;
    }
    // How a device buffers and moves; the tiling does not depend on it here.
    std::int32_t SetDoubleBuffer(bool, bool, bool, bool, bool = true, bool = true) { return 0; }
    void SetMatmulConfigParams(const MatmulConfigParams& parameters) {
        if (parameters.traverse != MatrixTraverse::NOSET) {
            order_ = parameters.traverse;
        }
    }
    template <class... Options>
    void SetMatmulConfigParams(std::int32_t /*type*/, Options... /*options*/) {}
    std::int32_t SetMadType(MatrixMadType /*type*/) { return 0; }
    std::int32_t SetDequantType(DequantType /*type*/) { return 0; }
    std::int32_t SetSparse(bool /*sparse*/) { return 0; }

    std::int32_t GetBaseM() const { return tiling_.baseM; }
    std::int32_t GetBaseN() const { return tiling_.baseN; }
    std::int32_t GetBaseK() const { return tiling_.baseK; }
    std::int32_t GetSingleShape(std::int32_t& m, std::int32_t& n, std::int32_t& k) const {
        m = tiling_.singleCoreM;
        n = tiling_.singleCoreN;
        k = tiling_.singleCoreK;
        return 0;
    }
    std::int32_t GetCoreNum(std::int32_t& cores, std::int32_t& along_m,
                            std::int32_t& along_n) const {
        cores = tiling_.usedCoreNum;
        along_m = along_m_;
        along_n = along_n_;
        return 0;
    }

  protected:
    /// Divide among `cores`: 0, or -1 without a shape, or with a SetFixSplit that does not fit.
    std::int64_t make(::TCubeTiling& tiling, std::int32_t cores) {
        tiling_ = layouts_;
        ::TCubeTiling& t = tiling_;
        const std::int32_t m = m_ > 0 ? m_ : org_m_;
        const std::int32_t n = n_ > 0 ? n_ : org_n_;
        const std::int32_t k = k_ > 0 ? k_ : org_ka_;
        if (m <= 0 || n <= 0 || k <= 0) {
            return -1;
        }
        t.M = org_m_ > 0 ? org_m_ : m;
        t.N = org_n_ > 0 ? org_n_ : n;
        t.Ka = org_ka_ > 0 ? org_ka_ : k;
        t.Kb = org_kb_ > 0 ? org_kb_ : k;
        t.isBias = bias_ ? 1 : 0;
        divide(m, n, k, cores);
        choose_blocks();
        if (!blocks_fit()) {
            return -1;
        }
        t.stepM = t.stepN = t.stepKa = t.stepKb = 1;
        t.depthA1 = t.depthB1 = 2;
        t.dbL0A = t.dbL0B = 2;
        t.dbL0C = 1;
        t.iterateOrder = order_ == MatrixTraverse::FIRSTN ? 1 : 0;
        t.shareL1Size = (t.baseM + t.baseN) * t.baseK * element_bytes_ * 2;
        t.shareL0CSize = t.baseM * t.baseN * 4;
        t.transLength = 0;
        t.batchM = batch_a_;
        t.batchN = batch_b_;
        t.singleBatchM = batch_a_;
        t.singleBatchN = batch_b_;
        t.BatchNum = batch_;
        tiling = t;
        return 0;
    }

  private:
    void divide(std::int32_t m, std::int32_t n, std::int32_t k, std::int32_t cores) {
        ::TCubeTiling& t = tiling_;
        const std::int32_t k0 = 32 / element_bytes_;
        Division division;
        std::int32_t along_k = 1;
        if (splits_k_) {
            along_k = std::min(cores, quotient(k, k0));
        } else {
            division = divided(m, n, base_m_ > 0 ? base_m_ : usual_base_m,
                               base_n_ > 0 ? base_n_ : usual_base_n(), cores);
        }
        t.singleCoreM = single_m_ > 0 ? single_m_ : limits_[0].part(m, division.along_m, 16);
        t.singleCoreN = single_n_ > 0 ? single_n_ : limits_[1].part(n, division.along_n, 16);
        t.singleCoreK = single_k_ > 0 ? single_k_ : limits_[2].part(k, along_k, k0);
        along_m_ = quotient(m, t.singleCoreM);
        along_n_ = quotient(n, t.singleCoreN);
        t.usedCoreNum = along_m_ * along_n_ * quotient(k, t.singleCoreK);
    }
    void choose_blocks() {
        ::TCubeTiling& t = tiling_;
        const std::int32_t k0 = 32 / element_bytes_;
        t.baseM = base_m_ > 0 ? base_m_ : std::min(usual_base_m, rounded_up(t.singleCoreM, 16));
        t.baseN = base_n_ > 0 ? base_n_ : std::min(usual_base_n(), rounded_up(t.singleCoreN, 16));
        t.baseK =
            base_k_ > 0 ? base_k_ : std::min(128 / element_bytes_, rounded_up(t.singleCoreK, k0));
    }
    /// Whether a block fits in L0C, and is not larger than what a core computes.
    bool blocks_fit() const {
        const ::TCubeTiling& t = tiling_;
        return std::int64_t{t.baseM} * t.baseN * 4 <= l0c_bytes_ &&
               t.baseM <= rounded_up(t.singleCoreM, 16) && t.baseN <= rounded_up(t.singleCoreN, 32);
    }
    static constexpr std::int32_t usual_base_m = 128;
    /// A result in UB has smaller blocks, so that the kernel can hold two.
    std::int32_t usual_base_n() const { return result_in_ub_ ? 128 : 256; }

  protected:
    std::int32_t cores_ = 1;

  private:
    std::int32_t element_bytes_ = 2;
    bool transposed_a_ = false;
    bool transposed_b_ = false;
    bool bias_ = false;
    bool splits_k_ = false;
    bool result_in_ub_ = false;
    std::int64_t l0c_bytes_ = 128 * 1024;
    AxisLimits limits_[3];  // of M, N and K
    std::int32_t along_m_ = 0, along_n_ = 0;
    MatrixTraverse order_ = MatrixTraverse::NOSET;
    std::int32_t m_ = 0, n_ = 0, k_ = 0;
    std::int32_t org_m_ = 0, org_n_ = 0, org_ka_ = 0, org_kb_ = 0;
    std::int32_t single_m_ = -1, single_n_ = -1, single_k_ = -1;
    std::int32_t base_m_ = -1, base_n_ = -1, base_k_ = -1;
    std::int32_t batch_ = 0, batch_a_ = 0, batch_b_ = 0;
    ::TCubeTiling layouts_{};
    ::TCubeTiling tiling_{};
};

/// The tiling of one core.
class MatmulApiTiling : public MatmulApiTilingBase {
  public:
    using MatmulApiTilingBase::MatmulApiTilingBase;
    std::int64_t GetTiling(::TCubeTiling& tiling) { return make(tiling, 1); }
};

/// The tiling of several cores.
class MultiCoreMatmulTiling : public MatmulApiTilingBase {
  public:
    using MatmulApiTilingBase::MatmulApiTilingBase;
    std::int64_t GetTiling(::TCubeTiling& tiling) { return make(tiling, std::max(1, cores_)); }
};

/// The tiling of products in batches.
class BatchMatmulTiling : public MatmulApiTilingBase {
  public:
    using MatmulApiTilingBase::MatmulApiTilingBase;
    std::int64_t GetTiling(::TCubeTiling& tiling) { return make(tiling, 1); }
};

}  // namespace matmul_tiling
