// Devices and contexts. A device has one context; what CANN calls the primary one.
#pragma once

#include <cstddef>
#include <mutex>
#include <set>

namespace ascend_emulator {

class Stream;

struct DeviceState {
    int id = 0;
    std::mutex mutex;
    std::set<Stream*> streams;
    Stream* default_stream = nullptr;
    std::size_t used = 0;  // bytes
    std::size_t peak = 0;
    std::set<int> peers;  // devices whose memory its operators may use
};

/// The state of a device that exists; made when first asked for.
DeviceState& device_state(int device);

std::size_t total_memory();

/// The device of this thread, or -1 where none was set.
int current_device_or_none();

/// The device of this thread; 0 becomes it where none was set, as with CANN's default device.
int current_device();
void set_current_device(int device);

/// Waits for all streams of the device; the first error of one, or the code of a timeout.
int synchronize_device(int device, int timeout_ms);

}  // namespace ascend_emulator
