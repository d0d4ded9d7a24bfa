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

/// The state of a device that exists. It lives until the process ends.
DeviceState& device_state(int device);

bool device_exists(int device);

/// 0, or the code, with an error noted, if there is no such device.
int check_device(int device);

/// The memory of each device, in bytes.
std::size_t total_memory();

/// The device of this thread, or -1 where none was set.
int current_device_or_none();

/// The device of this thread; 0 becomes it where none was set, as with CANN's default device.
int current_device();
void set_current_device(int device);

/// Waits for all streams of the device; the first error of one, or the code of a timeout.
int synchronize_device(int device, int timeout_ms);

/// Let operators of this thread's device use the memory of `peer`, or not.
void set_peer_access(int peer, bool allowed);

}  // namespace ascend_emulator
