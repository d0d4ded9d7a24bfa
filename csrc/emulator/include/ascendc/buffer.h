// TBuf, which TPipe assigns on-chip memory to.
#pragma once

#include "ascendc/tensor.h"

namespace AscendC {

/// What a device keeps of a buffer in a pool. The emulated core keeps it in the queue or TBuf.
using TBufHandle = std::uint8_t*;

/// Memory without a queue, for results that stay on the core.
template <TPosition position = TPosition::VECCALC>
class TBuf {
  public:
    template <class T>
    LocalTensor<T> Get() {
        return Get<T>(aicore::elements_in<T>(buffer_.bytes));
    }
    template <class T>
    LocalTensor<T> Get(std::uint32_t elements) {
        return {buffer_.address, elements, position, &buffer_};
    }
    template <class T>
    LocalTensor<T> GetWithOffset(std::uint32_t elements, std::uint32_t offset) {
        return {buffer_.address + offset, elements, position, &buffer_};
    }
    template <class T>
    LocalTensor<T> AllocTensor() {
        return Get<T>();
    }
    template <class T>
    void FreeTensor(LocalTensor<T>& /*tensor*/) {}

    static constexpr aicore::Space memory = aicore::space_of(position);
    /// Assign the memory; TPipe::InitBuffer calls it.
    void assign(std::uint32_t bytes, aicore::Site site) {
        assign_at(aicore::core->reserve(memory, bytes, "InitBuffer", site), bytes, site);
    }
    void assign_at(std::uint32_t address, std::uint32_t bytes, aicore::Site site) {
        buffer_ = {};
        buffer_.address = address;
        buffer_.bytes = bytes;
        buffer_.state = aicore::Buffer::State::allocated;
        buffer_.site = site;
    }
    /// The same, for pools that a kernel writes itself.
    void InitStartBufHandle(TBufHandle /*startBufhandle*/, std::uint8_t num, std::uint32_t /*len*/,
                            aicore::Site site = aicore::Site::here()) {
        aicore::core->require(num == 1, "range", "InitStartBufHandle: num of a TBuf must be 1",
                              site);
    }
    template <class Pool>
    void InitBufHandle(Pool* bufPool, std::uint32_t index, TBufHandle /*bufhandle*/,
                       std::uint32_t curPoolAddr, std::uint32_t len,
                       aicore::Site site = aicore::Site::here()) {
        aicore::core->require(index == 0, "range", "InitBufHandle: index of a TBuf must be 0",
                              site);
        bufPool->pool_of_handles().require_inside(curPoolAddr, len, site);
        assign_at(curPoolAddr, len, site);
    }

  private:
    aicore::Buffer buffer_{};
};

}  // namespace AscendC
