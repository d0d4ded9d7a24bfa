// Instructions that take the addresses of their operands instead of tensors.
//
// CANN's headers use these names inside, and kernels call them for elements of 8 bytes, which the
// documented functions do not take. A report cannot name the buffer that such an operand leaves.
#pragma once

#include "ascendc/move.h"
#include "ascendc/vector_order.h"

namespace aicore {

/// UB from an address on.
template <class T>
LocalTensor<T> tensor_at(const T* address) {
    const std::uint32_t begin = core->address_of(address);
    return {begin, elements_in<T>(Core::bytes(Space::ub) - begin), AscendC::TPosition::VECCALC,
            nullptr};
}

/// What an array of UB refers to: `__ubuf__ float x[64];` is rewritten to `float (&x)[64] = ...`.
class UbArray {
  public:
    explicit UbArray(const char* name, Site site = Site::here()) : name_(name), site_(site) {}

    template <class Array>
    operator Array&() const {  // NOLINT(google-explicit-constructor): it initializes a reference
        return *reinterpret_cast<Array*>(
            ub_array(name_, static_cast<std::uint32_t>(sizeof(Array)), site_));
    }

  private:
    const char* name_;
    Site site_;
};

template <class T>
GlobalTensor<T> global_at(T* address) {
    GlobalTensor<T> tensor;
    tensor.SetGlobalBuffer(address);
    return tensor;
}

}  // namespace aicore

namespace AscendC {

template <class T>
void DataCopyPadGm2UBImpl(__ubuf__ T* dst, __gm__ T* src, const DataCopyExtParams& params,
                          const DataCopyPadExtParams<T>& padding,
                          aicore::Site site = aicore::Site::here()) {
    DataCopyPad(aicore::tensor_at(dst), aicore::global_at(src), params, padding, site);
}
template <class T>
void DataCopyPadGm2UBImpl(__ubuf__ T* dst, __gm__ T* src, const DataCopyParams& params,
                          const DataCopyPadParams& padding,
                          aicore::Site site = aicore::Site::here()) {
    DataCopyPad(aicore::tensor_at(dst), aicore::global_at(src), params, padding, site);
}
template <class T>
void DataCopyPadUB2GMImpl(__gm__ T* dst, __ubuf__ T* src, const DataCopyExtParams& params,
                          aicore::Site site = aicore::Site::here()) {
    DataCopyPad(aicore::global_at(dst), aicore::tensor_at(src), params, site);
}
template <class T>
void DataCopyPadUB2GMImpl(__gm__ T* dst, __ubuf__ T* src, const DataCopyParams& params,
                          aicore::Site site = aicore::Site::here()) {
    DataCopyPad(aicore::global_at(dst), aicore::tensor_at(src), params, site);
}
template <class T>
void DataCopyUB2GMImpl(__gm__ T* dst, __ubuf__ T* src, const DataCopyParams& params,
                       aicore::Site site = aicore::Site::here()) {
    DataCopy(aicore::global_at(dst), aicore::tensor_at(src), params, site);
}
template <class T>
void TransDataTo5HDImpl(__ubuf__ T* const (&dstList)[NCHW_CONV_ADDR_LIST_SIZE],
                        __ubuf__ T* const (&srcList)[NCHW_CONV_ADDR_LIST_SIZE],
                        const TransDataTo5HDParams& params,
                        aicore::Site site = aicore::Site::here()) {
    std::uint64_t to[NCHW_CONV_ADDR_LIST_SIZE];
    std::uint64_t from[NCHW_CONV_ADDR_LIST_SIZE];
    for (int row = 0; row < NCHW_CONV_ADDR_LIST_SIZE; ++row) {
        to[row] = reinterpret_cast<std::uint64_t>(dstList[row]);
        from[row] = reinterpret_cast<std::uint64_t>(srcList[row]);
    }
    TransDataTo5HD<T>(to, from, params, site);
}

}  // namespace AscendC
