// The addresses of device memory.
//
// A device address lies in a range that nobody can access; its byte lies at the same offset of a
// second range, the shadow, which only the emulator uses. So a host access to device memory
// faults, as it does with a device.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <mutex>

namespace ascend_emulator {

class Window {
  public:
    static Window& instance();

    bool holds(const void* address) const {
        return static_cast<std::size_t>(static_cast<const char*>(address) - device_) < size_;
    }
    /// Where the byte of `address` is; a host address passes unchanged.
    void* bytes_of(const void* address) const {
        return holds(address) ? shadow_ + (static_cast<const char*>(address) - device_)
                              : const_cast<void*>(address);
    }

    /// Addresses for `bytes`, not usable yet; null where none are left. A page that stays
    /// unusable follows, so that an overrun faults. Addresses are given out in rising order and
    /// come back only after the whole window went round, which is how a stale one is recognised.
    void* reserve(std::size_t bytes);
    void release(void* address, std::size_t bytes);

    /// Backs reserved addresses with memory; false where the system has none.
    bool make_usable(void* address, std::size_t bytes);
    void make_unusable(void* address, std::size_t bytes);
    /// Backs them with the file `descriptor`, which other processes can map too.
    bool map_file(void* address, std::size_t bytes, int descriptor);

  private:
    Window();
    static std::size_t span(std::size_t bytes);
    void* take(std::map<std::size_t, std::size_t>::iterator gap, std::size_t bytes);

    std::size_t size_ = 0;
    char* device_ = nullptr;
    char* shadow_ = nullptr;
    std::mutex mutex_;
    std::map<std::size_t, std::size_t> gaps_;  // offset -> bytes
    std::size_t next_ = 0;
};

}  // namespace ascend_emulator
