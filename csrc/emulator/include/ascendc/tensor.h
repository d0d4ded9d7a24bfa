// LocalTensor, in the memory of the core, and GlobalTensor.
#pragma once

#include <algorithm>

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
    ElementOf& operator+=(Value value) { return *this = static_cast<Value>(read() + value); }
    ElementOf& operator-=(Value value) { return *this = static_cast<Value>(read() - value); }
    ElementOf& operator*=(Value value) { return *this = static_cast<Value>(read() * value); }
    ElementOf& operator/=(Value value) { return *this = static_cast<Value>(read() / value); }
    ElementOf& operator&=(Value value) { return *this = static_cast<Value>(read() & value); }
    ElementOf& operator|=(Value value) { return *this = static_cast<Value>(read() | value); }
    ElementOf& operator++() { return *this += static_cast<Value>(1); }
    ElementOf& operator--() { return *this -= static_cast<Value>(1); }

  private:
    Value read() const { return *this; }

    const Tensor& tensor_;
    std::uint64_t index_;
    Site site_;
};

}  // namespace aicore

namespace aicore {

/// The bytes of a number of elements, of which two of 4 bits share one.
template <class T>
constexpr std::uint32_t bytes_of_elements(std::uint64_t elements) {
    return static_cast<std::uint32_t>(std::is_same_v<T, AscendC::int4b_t> ? elements / 2
                                                                          : elements * sizeof(T));
}
template <class T>
constexpr std::uint32_t elements_in(std::uint64_t bytes) {
    return static_cast<std::uint32_t>(std::is_same_v<T, AscendC::int4b_t> ? bytes * 2
                                                                          : bytes / sizeof(T));
}

}  // namespace aicore

namespace AscendC {

enum class DataFormat : std::uint8_t {
    ND = 0,
    NZ,
    NCHW,
    NC1HWC0,
    NHWC,
    NCDHW,
    NDC1HWC0,
    FRACTAL_Z_3D
};

struct ShapeInfo {
    ShapeInfo() = default;
    explicit ShapeInfo(DataFormat format) : dataFormat(format) {}
    ShapeInfo(std::uint8_t axes, const std::uint32_t lengths[], DataFormat format)
        : ShapeInfo(axes, lengths, axes, lengths, format) {}
    /// The shape with its padding, and without it.
    ShapeInfo(std::uint8_t axes, const std::uint32_t lengths[], std::uint8_t original_axes,
              const std::uint32_t original[], DataFormat format)
        : shapeDim(axes), originalShapeDim(original_axes), dataFormat(format) {
        std::copy_n(lengths, std::min<int>(axes, most_axes), shape);
        std::copy_n(original, std::min<int>(original_axes, most_axes), originalShape);
    }

    static constexpr int most_axes = 8;

    std::uint8_t shapeDim = 0;
    std::uint8_t originalShapeDim = 0;
    std::uint32_t shape[most_axes] = {};
    std::uint32_t originalShape[most_axes] = {};
    DataFormat dataFormat = DataFormat::ND;
};

/// Where a tensor lies. Kernels of libraries fill it by hand.
struct TBuffAddr {
    std::uint32_t dataLen = 0;     // bytes
    std::uint32_t bufferAddr = 0;  // in the memory of its position
    void* bufferHandle = nullptr;
    std::uint8_t logicPos = static_cast<std::uint8_t>(TPosition::VECCALC);
};

template <class T>
class LocalTensor {
  public:
    using PrimType = T;

    TBuffAddr address_;  // NOLINT(readability-identifier-naming): the name is CANN's

    LocalTensor() = default;
    /// A tensor at a fixed address of its space, without a TPipe.
    LocalTensor(TPosition position, std::uint32_t address, std::uint32_t elements,
                aicore::Site site = aicore::Site::here()) {
        place(position, address, elements);
        aicore::core->require(address % ONE_BLK_SIZE == 0, "alignment",
                              "LocalTensor: the address must be a multiple of 32", site);
    }
    /// A tensor at an address of the core, which counts from the begin of UB.
    LocalTensor(std::uint32_t address, std::uint32_t elements, TPosition position,
                const aicore::Buffer* buffer)
        : buffer_(buffer), generation_(buffer == nullptr ? 0 : buffer->generation) {
        place(position, address - aicore::Core::base(aicore::space_of(position)), elements);
    }
    /// Place the tensor by hand, as kernels without a TPipe do.
    void InitBuffer(std::uint32_t bufferOffset, std::uint32_t bufferSize) {
        place(static_cast<TPosition>(address_.logicPos), bufferOffset, bufferSize);
    }

    LocalTensor operator[](std::uint32_t offset) const {
        LocalTensor part = *this;
        const std::uint32_t bytes = aicore::bytes_of_elements<T>(offset);
        part.address_.bufferAddr += bytes;
        part.address_.dataLen = bytes < address_.dataLen ? address_.dataLen - bytes : 0;
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
        LocalTensor<U> other;
        other.address_ = address_;
        other.buffer_ = buffer_;
        other.generation_ = generation_;
        return other;
    }
    template <class U>
    void SetAddrWithOffset(LocalTensor<U>& source, std::uint32_t offset) {
        *this = source[offset].template ReinterpretCast<T>();
    }
    std::uint32_t GetSize() const { return aicore::elements_in<T>(address_.dataLen); }
    std::uint32_t GetLength() const { return address_.dataLen; }
    void SetSize(std::uint32_t elements) {
        address_.dataLen = aicore::bytes_of_elements<T>(elements);
    }
    void SetBufferLen(std::uint32_t elements) { SetSize(elements); }
    std::int32_t GetPosition() const { return address_.logicPos; }
    __ubuf__ T* GetPhyAddr(std::uint32_t offset = 0) const { return data() + offset; }
    void SetShapeInfo(const ShapeInfo& shape) { shape_ = shape; }
    ShapeInfo GetShapeInfo() const { return shape_; }
    void SetUserTag(int tag) { tag_ = tag; }
    int GetUserTag() const { return tag_; }

    LocalTensor& operator=(const aicore::Sum<T>& sum);
    LocalTensor(const LocalTensor&) = default;
    LocalTensor& operator=(const LocalTensor&) = default;

    // For the instructions.
    T* data() const { return reinterpret_cast<T*>(aicore::core->at(address())); }
    std::uint32_t address() const {
        return aicore::Core::base(aicore::space_of(position())) + address_.bufferAddr;
    }
    TPosition position() const { return static_cast<TPosition>(address_.logicPos); }
    const aicore::Buffer* buffer() const { return buffer_; }
    std::uint32_t generation() const { return generation_; }
    /// Note that an instruction accesses bytes of the tensor.
    void use(const aicore::Instruction& instruction, std::uint64_t offset, std::uint64_t bytes,
             bool writes) const {
        aicore::core->access(instruction, address() + static_cast<std::uint32_t>(offset), bytes,
                             writes, buffer_, generation_);
    }
    /// Note that the tensor's address must be a multiple of `bytes`.
    void require_aligned(const aicore::Instruction& instruction, std::uint32_t bytes) const {
        if (address() % bytes != 0) {
            aicore::core->report("alignment",
                                 std::string(instruction.name) +
                                     ": the tensor's address must be "
                                     "a multiple of " +
                                     std::to_string(bytes) + " bytes, got offset " +
                                     std::to_string(address()),
                                 instruction.site);
        }
    }

  private:
    template <class U>
    friend class LocalTensor;

    void place(TPosition position, std::uint32_t address, std::uint32_t elements) {
        address_.logicPos = static_cast<std::uint8_t>(position);
        address_.bufferAddr = address;
        address_.dataLen = aicore::bytes_of_elements<T>(elements);
    }

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
        part.address_ += std::is_same_v<T, int4b_t> ? offset / 2 : offset;
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

    /// Note an access and return the host address of its first byte; `values` as in Core::global.
    void* use(const aicore::Instruction& instruction, std::uint64_t index, std::uint64_t bytes,
              bool writes, const void* values = nullptr) const {
        return aicore::core->global(instruction, address_ + index, bytes, writes, values);
    }

  private:
    __gm__ T* address_ = nullptr;
    std::uint64_t elements_ = 0;
    ShapeInfo shape_{};
};

}  // namespace AscendC
