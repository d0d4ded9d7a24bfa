// TBufPool and LocalMemAllocator: on-chip memory that a kernel divides itself.
#pragma once

#include "ascendc/pipe.h"

namespace AscendC {

/// A part of a memory that several stages of a kernel use one after another.
template <TPosition position, std::uint32_t bufferIds = 4>
class TBufPool {
  public:
    static constexpr aicore::Space memory = aicore::space_of(position);

    template <TPosition source, TPosition destination, std::int32_t depth, auto mask>
    bool InitBuffer(TQueBind<source, destination, depth, mask>& queue, std::uint8_t count,
                    std::uint32_t bytes, aicore::Site site = aicore::Site::here()) {
        queue.assign(count, bytes, site, [&] { return take(bytes, site); });
        return true;
    }
    template <TPosition at>
    bool InitBuffer(TBuf<at>& buffer, std::uint32_t bytes,
                    aicore::Site site = aicore::Site::here()) {
        buffer.assign_at(take(bytes, site), bytes, site);
        return true;
    }
    template <class Pool>
    bool InitBufPool(Pool& pool, std::uint32_t bytes, aicore::Site site = aicore::Site::here()) {
        pool.assign(take(bytes, site), bytes);
        return true;
    }
    /// A pool in the memory of another.
    template <class Pool, class Shared>
    bool InitBufPool(Pool& pool, std::uint32_t bytes, Shared& shared) {
        pool.assign(shared.begin(), bytes);
        return true;
    }
    void Reset() { used_ = 0; }

    void assign(std::uint32_t begin, std::uint32_t bytes) {
        begin_ = begin;
        bytes_ = bytes;
        used_ = 0;
    }
    std::uint32_t begin() const { return begin_; }

  private:
    std::uint32_t take(std::uint32_t bytes, aicore::Site site) {
        const std::uint32_t rounded = (bytes + 31) / 32 * 32;
        if (used_ + rounded > bytes_) {
            aicore::core->end("overflow",
                              "InitBuffer: the pool has " + std::to_string(bytes_) +
                                  " bytes, of which " + std::to_string(bytes_ - used_) +
                                  " are free, and " + std::to_string(rounded) + " are wanted",
                              site);
        }
        used_ += rounded;
        return begin_ + used_ - rounded;
    }

    std::uint32_t begin_ = 0;
    std::uint32_t bytes_ = 0;
    std::uint32_t used_ = 0;
};

/// Assigns memory by hand, in kernels without a TPipe.
template <Hardware hardware>
class LocalMemAllocator {
  public:
    template <TPosition position, class T, std::uint32_t elements>
    LocalTensor<T> Alloc(aicore::Site site = aicore::Site::here()) {
        return Alloc<position, T>(elements, site);
    }
    template <class T, std::uint32_t elements>
    LocalTensor<T> Alloc(aicore::Site site = aicore::Site::here()) {
        return Alloc<TPosition::VECCALC, T>(elements, site);
    }
    template <TPosition position, class T>
    LocalTensor<T> Alloc(std::uint32_t elements, aicore::Site site = aicore::Site::here()) {
        const std::uint32_t address =
            aicore::core->reserve(aicore::space_of(hardware),
                                  static_cast<std::uint32_t>(elements * sizeof(T)), "Alloc", site);
        return {address, elements, position, nullptr};
    }
    template <class T>
    LocalTensor<T> Alloc(std::uint32_t elements, aicore::Site site = aicore::Site::here()) {
        return Alloc<TPosition::VECCALC, T>(elements, site);
    }
    std::uint32_t GetCurAddr() const { return aicore::core->reserved(aicore::space_of(hardware)); }
};

}  // namespace AscendC
