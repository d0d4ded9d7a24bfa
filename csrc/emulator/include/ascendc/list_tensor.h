// ListTensorDesc: a list of tensors in global memory, as a dynamic input of an op is passed.
//
// The first word is the offset of the addresses in bytes. A word of dimension (low half) and index
// (high half) per tensor follows, each with as many words as its dimension.
#pragma once

#include <algorithm>

#include "ascendc/kernel_launch.h"
#include "ascendc/tensor.h"

namespace AscendC {

class ListTensorDesc;

template <class T>
class TensorDesc {
  public:
    void SetShapeAddr(std::uint64_t* shape) { shape_ = shape; }
    std::uint64_t GetDim() const { return dimension_; }
    std::uint64_t GetIndex() const { return index_; }
    std::uint64_t GetShape(std::uint32_t axis) const { return shape_[axis]; }
    __gm__ T* GetDataPtr() const { return data_; }
    GlobalTensor<T> GetDataObj() const {
        GlobalTensor<T> tensor;
        tensor.SetGlobalBuffer(data_);
        return tensor;
    }

  private:
    friend class ListTensorDesc;
    std::uint64_t* shape_ = nullptr;
    std::uint64_t dimension_ = 0;
    std::uint64_t index_ = 0;
    __gm__ T* data_ = nullptr;
};

class ListTensorDesc {
  public:
    ListTensorDesc() = default;
    explicit ListTensorDesc(__gm__ void* data, std::uint32_t length = ~0U,
                            std::uint32_t shapeSize = ~0U) {
        Init(data, length, shapeSize);
    }
    void Init(__gm__ void* data, std::uint32_t /*length*/ = ~0U,
              std::uint32_t /*shapeSize*/ = ~0U) {
        words_ = static_cast<const std::uint64_t*>(aicore::bytes_of(data));
        addresses_ = words_ + *words_ / sizeof(std::uint64_t);
        size_ = 0;
        for (const std::uint64_t* word = words_ + 1; word < addresses_;
             word += 1 + dimension_of(*word)) {
            ++size_;
        }
    }
    std::uint32_t GetSize() const { return size_; }
    template <class T>
    __gm__ T* GetDataPtr(std::uint32_t index) const {
        return reinterpret_cast<__gm__ T*>(static_cast<std::uintptr_t>(addresses_[index]));
    }
    template <class T>
    void GetDesc(TensorDesc<T>& desc, std::uint32_t index,
                 aicore::Site site = aicore::Site::here()) const {
        if (index >= size_) {
            aicore::core->end("range",
                              "GetDesc: the index must be less than " + std::to_string(size_) +
                                  ", got " + std::to_string(index),
                              site);
        }
        const std::uint64_t* word = words_ + 1;
        for (std::uint32_t skipped = 0; skipped < index; ++skipped) {
            word += 1 + dimension_of(*word);
        }
        desc.dimension_ = dimension_of(*word);
        desc.index_ = *word >> 32;
        desc.data_ = GetDataPtr<T>(index);
        if (desc.shape_ != nullptr) {
            std::copy_n(word + 1, desc.dimension_, desc.shape_);
        }
    }

  private:
    static std::uint64_t dimension_of(std::uint64_t word) { return word & 0xFFFFFFFF; }

    const std::uint64_t* words_ = nullptr;
    const std::uint64_t* addresses_ = nullptr;
    std::uint32_t size_ = 0;
};

}  // namespace AscendC
