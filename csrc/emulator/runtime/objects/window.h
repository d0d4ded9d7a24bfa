// The addresses of device memory.
//
// A device address lies in a range that cannot be accessed. Its byte lies at the same offset of a
// second range, the shadow, which only the emulator uses. A host access to device memory therefore
// faults, as it does with a device.
//
// The shadow is a mapping of one unnamed file as large as the window, in which each byte has the
// window's offset. Other processes can map parts of it, so that memory is shared where it lies:
// moving it while a stream writes to it would lose what is written.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <mutex>

namespace ascend_emulator {

/// The name of the window's file in /proc.
constexpr const char* window_file_name = "emulated NPU memory";

/// Where pages lie in a file.
struct Pages {
    int file = -1;
    std::size_t offset = 0;
};

class Window {
  public:
    static Window& instance();

    bool holds(const void* address) const {
        return static_cast<std::size_t>(static_cast<const char*>(address) - device_) < size_;
    }
    /// The address of the byte in the shadow; a host address is returned unchanged.
    void* bytes_of(const void* address) const {
        return holds(address) ? shadow_ + (static_cast<const char*>(address) - device_)
                              : const_cast<void*>(address);
    }

    /// The device address of a byte in the shadow; other addresses are returned unchanged.
    const void* address_of(const void* bytes) const {
        const auto offset = static_cast<std::size_t>(static_cast<const char*>(bytes) - shadow_);
        return offset < size_ ? device_ + offset : bytes;
    }

    /// Reserve addresses for `bytes`, not usable yet; null if none are left. A page that stays
    /// unusable follows them, so that an overrun faults. Addresses are handed out in ascending
    /// order and are reused only after the whole window was, so that a stale one is recognised.
    void* reserve(std::size_t bytes);
    /// Give addresses and their memory back.
    void release(void* address, std::size_t bytes);

    /// Back reserved addresses with memory; false if the system has none.
    bool make_usable(void* address, std::size_t bytes);
    void make_unusable(void* address, std::size_t bytes);
    /// Back them with pages of a file, this window's or another process's.
    bool map_pages(void* address, std::size_t bytes, const Pages& pages);
    /// Let the host access the addresses themselves, which map_pages has backed.
    bool open_to_host(void* address, std::size_t bytes, const Pages& pages);
    void close_to_host(void* address, std::size_t bytes);
    /// The pages of reserved addresses in the window's own file.
    Pages pages_of(const void* address) const;

  private:
    Window();
    static std::size_t span(std::size_t bytes);
    std::size_t offset_of(const void* address) const {
        return static_cast<std::size_t>(static_cast<const char*>(address) - device_);
    }
    void* take(std::map<std::size_t, std::size_t>::iterator gap, std::size_t bytes);

    std::size_t size_ = 0;
    char* device_ = nullptr;
    int file_ = -1;
    char* shadow_ = nullptr;
    std::mutex mutex_;
    std::map<std::size_t, std::size_t> gaps_;  // offset -> bytes
    std::size_t next_ = 0;
};

}  // namespace ascend_emulator
