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

}  // namespace AscendC

namespace aicore {

/// The state of a pool that a kernel writes itself: where its next buffer begins, and how many it
/// has.
template <AscendC::TPosition position, std::uint32_t most>
class PoolOfHandles {
  public:
    void assign(std::uint32_t begin, std::uint32_t bytes) {
        begin_ = begin;
        bytes_ = bytes;
        reset();
    }
    void reset() {
        address_ = begin_;
        count_ = 0;
    }
    std::uint32_t begin() const { return begin_; }
    std::uint32_t address() const { return address_; }
    void set_address(std::uint32_t address) { address_ = address; }
    std::uint8_t count() const { return count_; }
    void set_count(std::uint8_t count, Site site) {
        core->require(count <= most, "range",
                      "SetCurBufSize: curBufSize must be at most BUFID_SIZE of EXTERN_IMPL_BUFPOOL",
                      site);
        count_ = count;
    }
    AscendC::TBufHandle handle(std::uint8_t offset, Site site) {
        if (offset >= most) {
            core->end("range",
                      "GetBufHandle: offset must be less than BUFID_SIZE of EXTERN_IMPL_BUFPOOL, " +
                          std::to_string(most) + ", got " + std::to_string(offset),
                      site);
        }
        return &handles_[offset];
    }
    void require_inside(std::uint32_t address, std::uint32_t bytes, Site site) const {
        core->require(address % 32 == 0, "alignment",
                      "InitBufHandle: curPoolAddr must be a multiple of 32", site);
        if (address < begin_ || address + bytes > begin_ + bytes_) {
            core->end("overflow",
                      "InitBufHandle: the buffer must lie in the pool, which has bytes " +
                          std::to_string(begin_) + " to " + std::to_string(begin_ + bytes_) +
                          ", got " + std::to_string(address) + " to " +
                          std::to_string(address + bytes),
                      site);
        }
    }

  private:
    std::uint32_t begin_ = 0;
    std::uint32_t bytes_ = 0;
    std::uint32_t address_ = 0;
    std::uint8_t count_ = 0;
    std::uint8_t handles_[most] = {};
};

}  // namespace aicore

/// The members of a pool that a kernel writes itself, which divides its memory in InitBuffer.
// NOLINTNEXTLINE(cppcoreguidelines-macro-usage): CANN documents a macro
#define EXTERN_IMPL_BUFPOOL(EXT_BUFPOOL, POSITION, BUFID_SIZE)                              \
  public:                                                                                   \
    static constexpr aicore::Space memory = aicore::space_of(POSITION);                     \
    void Init() { pool_of_handles_.reset(); }                                               \
    void Reset() { pool_of_handles_.reset(); }                                              \
    AscendC::TBufHandle GetBufHandle(std::uint8_t offset,                                   \
                                     aicore::Site site = aicore::Site::here()) {            \
        return pool_of_handles_.handle(offset, site);                                       \
    }                                                                                       \
    std::uint32_t GetCurAddr() const { return pool_of_handles_.address(); }                 \
    void SetCurAddr(std::uint32_t curAddr) { pool_of_handles_.set_address(curAddr); }       \
    std::uint8_t GetCurBufSize() const { return pool_of_handles_.count(); }                 \
    void SetCurBufSize(std::uint8_t curBufSize, aicore::Site site = aicore::Site::here()) { \
        pool_of_handles_.set_count(curBufSize, site);                                       \
    }                                                                                       \
    void assign(std::uint32_t begin, std::uint32_t bytes) {                                 \
        pool_of_handles_.assign(begin, bytes);                                              \
    }                                                                                       \
    std::uint32_t begin() const { return pool_of_handles_.begin(); }                        \
    const auto& pool_of_handles() const { return pool_of_handles_; }                        \
                                                                                            \
  private:                                                                                  \
    aicore::PoolOfHandles<POSITION, BUFID_SIZE> pool_of_handles_

namespace AscendC {

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
