// Devices and contexts. A device has one context, which CANN calls the primary one.
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
    std::set<int> peers;  // devices whose memory its operators may access
};

/// The state of a device that exists. It lives until the process ends.
DeviceState& device_state(int device);

bool device_exists(int device);

/// The device of a context, or -1 if the address is not one.
int device_of_context(const void* context);

/// 0, or a code, with an error noted, if the device does not exist.
int check_device(int device);

/// The memory of each device, in bytes.
std::size_t total_memory();

/// The device of this thread, or -1 if none was set.
int current_device_or_none();

/// The device of this thread, which becomes CANN's default, 0, if none was set.
int current_device();
void set_current_device(int device);

/// Wait for all streams of the device. Returns the first error of a stream, or the code of a
/// timeout.
int synchronize_device(int device, int timeout_ms);

/// Allow or forbid operators of this thread's device to access the memory of `peer`.
void set_peer_access(int peer, bool allowed);

}  // namespace ascend_emulator
