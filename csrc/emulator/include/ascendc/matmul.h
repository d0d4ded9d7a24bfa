// Matmul, the object with which a kernel multiplies matrices without the cube unit's instructions.
//
// On a device, a vector core sends each call to a cube core of its block, which moves and
// multiplies. Here the core that calls multiplies at the call, so the cube core of a mixed kernel
// ends in REGIST_MATMUL_OBJ. Products of floats are summed in fp32, those of int8 in int32.
#pragma once

#include "ascendc/matmul_blocks.h"
#include "ascendc/pipe.h"

namespace AscendC {

template <class A_TYPE, class B_TYPE, class C_TYPE, class BIAS_TYPE = C_TYPE,
          const auto& MM_CFG = CFG_NORM,
          class MM_CB = MatmulCallBackFunc<nullptr, nullptr, nullptr>, class... POLICY>
class MatmulImpl : private MatmulBlocks<A_TYPE, B_TYPE, C_TYPE, BIAS_TYPE, MM_CFG> {
    using Base = MatmulBlocks<A_TYPE, B_TYPE, C_TYPE, BIAS_TYPE, MM_CFG>;
    using A = typename A_TYPE::T;
    using B = typename B_TYPE::T;
    using C = typename C_TYPE::T;
    using Bias = typename BIAS_TYPE::T;
    using Site = aicore::Site;
    using Base::a_;
    using Base::advance;
    using Base::all;
    using Base::asynchronous_;
    using Base::b_;
    using Base::base_m;
    using Base::base_n;
    using Base::batch;
    using Base::batch_a_;
    using Base::batch_b_;
    using Base::begun_;
    using Base::bias_;
    using Base::factors_;
    using Base::fill;
    using Base::k_;
    using Base::m_;
    using Base::n_;
    using Base::next;
    using Base::number;
    using Base::options;
    using Base::org_c_;
    using Base::org_ka_;
    using Base::org_kb_;
    using Base::org_m_;
    using Base::org_n_;
    using Base::place;
    using Base::put_block;
    using Base::quantizes_;
    using Base::require_workspace;
    using Base::result;
    using Base::step_;
    using Base::tiling_;
    using Base::wait_for_copy;
    using Base::wait_for_cube_core;
    using Base::workspace_;
    static_assert(MM_CB::is_default,
                  "MatmulCallBackFunc is not emulated: the functions get L1 tensors of the cube "
                  "core; see docs/how-to/add-an-ascend-c-function.md");
    static_assert(std::is_integral_v<A> == std::is_integral_v<B>,
                  "Matmul of a floating and an integral matrix is not emulated");

  public:
    using AType = A_TYPE;
    using BType = B_TYPE;
    using CType = C_TYPE;
    using BiasType = BIAS_TYPE;
    using CallBack = MM_CB;
    /// Whether the cube core of a mixed kernel runs the kernel's code instead of serving.
    static constexpr bool both_cores = options.enableMixDualMaster;
    static constexpr bool has_tiling = aicore::static_tiling_of(MM_CFG) != nullptr;

    void Init(const TCubeTiling* tiling, TPipe* /*pipe*/ = nullptr) {
        const TCubeTiling* const fixed = aicore::static_tiling_of(MM_CFG);
        const auto* const given = static_cast<const TCubeTiling*>(aicore::bytes_of(tiling));
        tiling_ = given == nullptr ? *fixed : *given;
        m_ = tiling_.singleCoreM;
        n_ = tiling_.singleCoreN;
        k_ = tiling_.singleCoreK;
        SetOrgShape(tiling_.M, tiling_.N, tiling_.Ka, tiling_.Kb);
        End();
    }
    void SetSubBlockIdx(std::uint8_t /*index*/) {}
    std::uint8_t GetSubBlockIdx() const {
        return static_cast<std::uint8_t>(aicore::core->sub_block);
    }
    void SetOrgShape(int m, int n, int k) { SetOrgShape(m, n, k, k); }
    void SetOrgShape(int m, int n, int ka, int kb, int kc = 0) {
        org_m_ = m;
        org_n_ = n;
        org_ka_ = ka;
        org_kb_ = kb;
        org_c_ = kc > 0 ? kc : n;
    }
    void SetSingleShape(int m, int n, int k) { SetTail(m, n, k); }
    void SetTail(int m = -1, int n = -1, int k = -1) {
        m_ = m == -1 ? m_ : m;
        n_ = n == -1 ? n_ : n;
        k_ = k == -1 ? k_ : k;
    }
    void SetTensorA(const GlobalTensor<A>& a, bool transposed = false) { place(a_, a, transposed); }
    void SetTensorA(const LocalTensor<A>& a, bool transposed = false) { place(a_, a, transposed); }
    void SetTensorA(A value) { fill(a_, value); }
    void SetTensorB(const GlobalTensor<B>& b, bool transposed = false) { place(b_, b, transposed); }
    void SetTensorB(const LocalTensor<B>& b, bool transposed = false) { place(b_, b, transposed); }
    void SetTensorB(B value) { fill(b_, value); }
    void SetBias(const GlobalTensor<Bias>& bias) { place(bias_, bias, false); }
    void SetBias(const LocalTensor<Bias>& bias) { place(bias_, bias, false); }
    void DisableBias() { bias_.place = aicore::Matrix<Bias>::Place::none; }
    void ClearBias() { DisableBias(); }
    void SetBatchNum(std::int32_t a, std::int32_t b) {
        batch_a_ = a;
        batch_b_ = b;
    }
    void SetQuantScalar(std::uint64_t factor) {
        quantizes_ = true;
        factors_.place = aicore::Matrix<std::uint64_t>::Place::scalar;
        factors_.value = factor;
    }
    void SetQuantVector(const GlobalTensor<std::uint64_t>& factors) {
        quantizes_ = true;
        place(factors_, factors, false);
    }
    void SetQuantVector(const LocalTensor<std::uint64_t>& factors) {
        quantizes_ = true;
        place(factors_, factors, false);
    }
    /// HF32 rounds the operands of a product in fp32; the emulated product keeps them.
    void SetHF32(bool /*enabled*/ = false, std::int32_t /*mode*/ = 0) {}
    template <class T>
    void SetSelfDefineData(T /*data*/) {}
    void SetUserDefInfo(std::uint64_t /*tiling*/) {}
    void SetLocalWorkspace(const LocalTensor<std::uint8_t>& /*buffer*/) {}
    /// Where an asynchronous Iterate leaves its blocks.
    template <class T>
    void SetWorkspace(__gm__ const T* address, int elements) {
        workspace_.SetGlobalBuffer(reinterpret_cast<__gm__ C*>(const_cast<__gm__ T*>(address)),
                                   static_cast<std::uint64_t>(elements) * sizeof(T) / sizeof(C));
    }
    template <class T>
    void SetWorkspace(GlobalTensor<T>& workspace) {
        SetWorkspace(workspace.GetPhyAddr(), static_cast<int>(workspace.GetSize()));
    }
    void WaitIterateAll() { wait_for_cube_core(); }
    void WaitGetTensorC() { wait_for_copy(); }
    void WaitIterateBatch() { wait_for_cube_core(); }

    /// Begin again with the first block.
    void End() {
        begun_ = false;
        asynchronous_ = false;
        DisableBias();
    }

    /// Compute the next block of baseM x baseN; false after the last.
    template <bool sync = true>
    bool Iterate(bool enPartialSum = false, Site site = Site::here()) {
        static_assert(
            options.scheduleType != ::ScheduleType::OUTER_PRODUCT,
            "Iterate with ScheduleType::OUTER_PRODUCT, which gives two blocks at once, is "
            "not emulated; IterateAll is");
        if constexpr (!sync) {
            asynchronous_ = true;  // GetTensorC computes
            return true;
        }
        return next(enPartialSum, site);
    }
    /// Store the block of Iterate.
    template <bool sync = true>
    void GetTensorC(const GlobalTensor<C>& gm, std::uint8_t enAtomic = 0,
                    bool enSequentialWrite = false, Site site = Site::here()) {
        advance(site);
        put_block(result(gm), enAtomic, enSequentialWrite, true, site);
    }
    template <bool sync = true, bool doPad = false>
    void GetTensorC(const LocalTensor<C>& local, std::uint8_t enAtomic = 0,
                    bool enSequentialWrite = false, Site site = Site::here()) {
        require_workspace(site);
        advance(site);
        put_block(result(local), enAtomic, enSequentialWrite || asynchronous_, false, site);
        if (!asynchronous_) {
            wait_for_copy();
        }
    }
    /// The block in the workspace of an asynchronous Iterate.
    template <bool sync = true>
    GlobalTensor<C> GetTensorC(std::uint8_t enAtomic = 0, bool /*enSequentialWrite*/ = false,
                               Site site = Site::here()) {
        static_assert(!sync, "GetTensorC of a workspace is asynchronous: GetTensorC<false>");
        require_workspace(site);
        advance(site);
        const std::uint64_t size = std::uint64_t{base_m()} * base_n();
        GlobalTensor<C> block = workspace_[step_ * size];
        block.SetGlobalBuffer(block.GetPhyAddr(0), size);
        put_block(result(block), enAtomic, true, true, site);
        return block;
    }
    template <bool sync = true>
    void GetTensorC(const GlobalTensor<C>& gm, const LocalTensor<C>& local,
                    std::uint8_t enAtomic = 0, bool enSequentialWrite = false,
                    Site site = Site::here()) {
        advance(site);
        put_block(result(gm), enAtomic, enSequentialWrite, true, site);
        put_block(result(local), enAtomic, enSequentialWrite, false, site);
        wait_for_copy();
    }
    void AsyncGetTensorC(const LocalTensor<C>& local, Site site = Site::here()) {
        GetTensorC<false>(local, 0, true, site);
    }
    MatrixOffset GetOffsetC() const { return {}; }

    /// Compute and store all blocks of singleCoreM x singleCoreN.
    template <bool sync = true>
    void IterateAll(const GlobalTensor<C>& gm, std::uint8_t enAtomic = 0,
                    bool enSequentialWrite = false, bool /*waitIterateAll*/ = false,
                    bool /*fakeMsg*/ = false, Site site = Site::here()) {
        all(result(gm), enAtomic, enSequentialWrite, true, site);
        if constexpr (sync) {
            wait_for_cube_core();
        }
    }
    template <bool sync = true>
    void IterateAll(const LocalTensor<C>& local, std::uint8_t enAtomic = 0,
                    Site site = Site::here()) {
        wait_for_cube_core();
        all(result(local), enAtomic, false, false, site);
        if constexpr (sync) {
            wait_for_cube_core();
            wait_for_copy();
        }
    }

    /// Multiply the pairs of a batch, which lie one after another as the layouts say.
    void IterateBatch(const GlobalTensor<C>& gm, bool enPartialSum, std::uint8_t enAtomic,
                      bool enSequentialWrite, std::uint32_t matrixStrideA = 0,
                      std::uint32_t matrixStrideB = 0, std::uint32_t matrixStrideC = 0,
                      Site site = Site::here()) {
        batch(result(gm), enPartialSum, enAtomic, enSequentialWrite,
              {matrixStrideA, matrixStrideB, matrixStrideC}, site);
        wait_for_cube_core();
    }
    void IterateBatch(const LocalTensor<C>& local, bool enPartialSum, std::uint8_t enAtomic,
                      bool enSequentialWrite, std::uint32_t matrixStrideA = 0,
                      std::uint32_t matrixStrideB = 0, std::uint32_t matrixStrideC = 0,
                      Site site = Site::here()) {
        wait_for_cube_core();
        batch(result(local), enPartialSum, enAtomic, enSequentialWrite,
              {matrixStrideA, matrixStrideB, matrixStrideC}, site);
        wait_for_cube_core();
        wait_for_copy();
    }
    template <class Number, std::enable_if_t<!std::is_same_v<Number, bool>, bool> = true>
    void IterateBatch(const GlobalTensor<C>& gm, Number batchA, Number batchB,
                      bool enSequentialWrite, std::uint32_t matrixStrideA = 0,
                      std::uint32_t matrixStrideB = 0, std::uint32_t matrixStrideC = 0,
                      bool enPartialSum = false, std::uint8_t enAtomic = 0,
                      Site site = Site::here()) {
        SetBatchNum(static_cast<std::int32_t>(batchA), static_cast<std::int32_t>(batchB));
        batch(result(gm), enPartialSum, enAtomic, enSequentialWrite,
              {matrixStrideA, matrixStrideB, matrixStrideC}, site);
        wait_for_cube_core();
    }
};

template <class A_TYPE, class B_TYPE, class C_TYPE, class BIAS_TYPE = C_TYPE,
          const auto& MM_CFG = CFG_NORM,
          class MM_CB = MatmulCallBackFunc<nullptr, nullptr, nullptr>, class... POLICY>
using Matmul = MatmulImpl<A_TYPE, B_TYPE, C_TYPE, BIAS_TYPE, MM_CFG, MM_CB, POLICY...>;

}  // namespace AscendC

#include "ascendc/matmul_registration.h"

namespace matmul = AscendC;
