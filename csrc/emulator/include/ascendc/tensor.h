// LocalTensor, in the memory of the core, and GlobalTensor.
#pragma once

#include "ascendc/types.h"

namespace aicore {

template <class T>
struct Sum;  // `a + b` and the like, which assigning to a tensor computes

/// One element of a tensor, as `tensor(index)` gives it.
template <class Tensor>
class ElementOf {
  public:
    using Value = typename Tensor::PrimType;
    ElementOf(const Tensor& tensor, std::uint64_t index, Site site)
        : tensor_(tensor), index_(index), site_(site) {}
    operator Value() const {  // NOLINT(google-explicit-constructor): as on the device
        return tensor_.GetValue(index_, site_);
    }
    ElementOf& operator=(Value value) {
        tensor_.SetValue(index_, value, site_);
        return *this;
    }
    ElementOf& operator=(const ElementOf& other) { return *this = static_cast<Value>(other); }

  private:
    const Tensor& tensor_;
    std::uint64_t index_;
    Site site_;
};

}  // namespace aicore

namespace AscendC {

struct ShapeInfo {
    std::uint8_t shapeDim = 0;
    std::uint8_t originalShapeDim = 0;
    std::uint32_t shape[8] = {};
    std::uint32_t originalShape[8] = {};
};

template <class T>
class LocalTensor {
  public:
    using PrimType = T;

    LocalTensor() = default;
    /// A tensor at a fixed address of its space, without a TPipe.
    LocalTensor(TPosition position, std::uint32_t address, std::uint32_t elements,
                aicore::Site site = aicore::Site::here())
        : address_(aicore::Core::base(aicore::space_of(position)) + address),
          elements_(elements),
          position_(position) {
        aicore::core->require(address % ONE_BLK_SIZE == 0, "alignment",
                              "LocalTensor: the address must be a multiple of 32", site);
    }
    LocalTensor(std::uint32_t address, std::uint32_t elements, TPosition position,
                const aicore::Buffer* buffer)
        : address_(address),
          elements_(elements),
          position_(position),
          buffer_(buffer),
          generation_(buffer == nullptr ? 0 : buffer->generation) {}

    LocalTensor operator[](std::uint32_t offset) const {
        LocalTensor part = *this;
        part.address_ += offset * static_cast<std::uint32_t>(sizeof(T));
        part.elements_ = offset < elements_ ? elements_ - offset : 0;
        return part;
    }
    aicore::ElementOf<LocalTensor> operator()(std::uint32_t index,
                                              aicore::Site site = aicore::Site::here()) const {
        return {*this, index, site};
    }
    T GetValue(std::uint32_t index, aicore::Site site = aicore::Site::here()) const {
        use({"GetValue", aicore::Pipe::s, site}, index * sizeof(T), sizeof(T), false);
        return data()[index];
    }
    void SetValue(std::uint32_t index, aicore::Given<T> value,
                  aicore::Site site = aicore::Site::here()) const {
        use({"SetValue", aicore::Pipe::s, site}, index * sizeof(T), sizeof(T), true);
        data()[index] = value;
    }
    template <class U>
    LocalTensor<U> ReinterpretCast() const {
        LocalTensor<U> other(address_,
                             static_cast<std::uint32_t>(elements_ * sizeof(T) / sizeof(U)),
                             position_, buffer_);
        other.generation_ = generation_;
        return other;
    }
    template <class U>
    void SetAddrWithOffset(LocalTensor<U>& source, std::uint32_t offset) {
        *this = source[offset].template ReinterpretCast<T>();
    }
    std::uint32_t GetSize() const { return elements_; }
    std::uint32_t GetLength() const { return elements_ * static_cast<std::uint32_t>(sizeof(T)); }
    void SetSize(std::uint32_t elements) { elements_ = elements; }
    std::int32_t GetPosition() const { return static_cast<std::int32_t>(position_); }
    __ubuf__ T* GetPhyAddr(std::uint32_t offset = 0) const { return data() + offset; }
    void SetShapeInfo(const ShapeInfo& shape) { shape_ = shape; }
    ShapeInfo GetShapeInfo() const { return shape_; }
    void SetUserTag(int tag) { tag_ = tag; }
    int GetUserTag() const { return tag_; }

    LocalTensor& operator=(const aicore::Sum<T>& sum);
    LocalTensor(const LocalTensor&) = default;
    LocalTensor& operator=(const LocalTensor&) = default;

    // For the instructions.
    T* data() const { return reinterpret_cast<T*>(aicore::core->at(address_)); }
    std::uint32_t address() const { return address_; }
    TPosition position() const { return position_; }
    const aicore::Buffer* buffer() const { return buffer_; }
    std::uint32_t generation() const { return generation_; }
    /// Note that an instruction accesses bytes of the tensor.
    void use(const aicore::Instruction& instruction, std::uint64_t offset, std::uint64_t bytes,
             bool writes) const {
        aicore::core->access(instruction, address_ + static_cast<std::uint32_t>(offset), bytes,
                             writes, buffer_, generation_);
    }
    /// Note that the tensor's address must be a multiple of `bytes`.
    void require_aligned(const aicore::Instruction& instruction, std::uint32_t bytes) const {
        if (address_ % bytes != 0) {
            aicore::core->report("alignment",
                                 std::string(instruction.name) +
                                     ": the tensor's address must be "
                                     "a multiple of " +
                                     std::to_string(bytes) + " bytes, got offset " +
                                     std::to_string(address_),
                                 instruction.site);
        }
    }

  private:
    template <class U>
    friend class LocalTensor;

    std::uint32_t address_ = 0;
    std::uint32_t elements_ = 0;
    TPosition position_ = TPosition::VECCALC;
    const aicore::Buffer* buffer_ = nullptr;
    std::uint32_t generation_ = 0;
    ShapeInfo shape_{};
    int tag_ = 0;
};

template <class T>
class GlobalTensor {
  public:
    using PrimType = T;

    void SetGlobalBuffer(__gm__ T* address, std::uint64_t elements) {
        address_ = address;
        elements_ = elements;
    }
    void SetGlobalBuffer(__gm__ T* address) { SetGlobalBuffer(address, 0); }
    GlobalTensor operator[](std::uint64_t offset) const {
        GlobalTensor part = *this;
        part.address_ += offset;
        part.elements_ = offset < elements_ ? elements_ - offset : 0;
        return part;
    }
    aicore::ElementOf<GlobalTensor> operator()(std::uint64_t index,
                                               aicore::Site site = aicore::Site::here()) const {
        return {*this, index, site};
    }
    T GetValue(std::uint64_t index, aicore::Site site = aicore::Site::here()) const {
        return *static_cast<const T*>(
            use({"GetValue", aicore::Pipe::s, site}, index, sizeof(T), false));
    }
    void SetValue(std::uint64_t index, aicore::Given<T> value,
                  aicore::Site site = aicore::Site::here()) const {
        *static_cast<T*>(use({"SetValue", aicore::Pipe::s, site}, index, sizeof(T), true)) = value;
    }
    const __gm__ T* GetPhyAddr() const { return address_; }
    __gm__ T* GetPhyAddr(std::uint64_t offset) const { return address_ + offset; }
    std::uint64_t GetSize() const { return elements_; }
    void SetShapeInfo(const ShapeInfo& shape) { shape_ = shape; }
    ShapeInfo GetShapeInfo() const { return shape_; }
    template <CacheRwMode mode = CacheRwMode::RW>
    void SetL2CacheHint(CacheMode /*mode*/) {}  // only the speed of a device depends on it

    /// Note an access and return the host address of its first byte.
    void* use(const aicore::Instruction& instruction, std::uint64_t index, std::uint64_t bytes,
              bool writes) const {
        return aicore::core->global(instruction, address_ + index, bytes, writes);
    }

  private:
    __gm__ T* address_ = nullptr;
    std::uint64_t elements_ = 0;
    ShapeInfo shape_{};
};

}  // namespace AscendC
