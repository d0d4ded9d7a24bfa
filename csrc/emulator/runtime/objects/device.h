// Devices: the memory in use, the streams, and the peers whose memory can be accessed.
#pragma once

#include <cstddef>
#include <mutex>
#include <set>
#include <vector>

namespace ascend_emulator {

class Stream;
struct Context;

struct DeviceState {
    int id = 0;
    std::mutex mutex;
    std::set<Stream*> streams;
    Stream* default_stream = nullptr;  // of the primary context
    Context* primary = nullptr;
    std::size_t used = 0;  // bytes
    std::size_t peak = 0;
    std::set<int> peers;  // devices whose memory its operators may access
};

/// The state of a device that exists. It lives until the process ends.
DeviceState& device_state(int device);

/// The number of devices that the process sees.
int device_count();

bool device_exists(int device);

/// The index of the device among all devices of the machine, which ASCEND_RT_VISIBLE_DEVICES
/// selects from.
int physical_device(int device);

/// 0, or a code, with an error noted, if the device does not exist.
int check_device(int device);

/// The memory of each device, in bytes.
std::size_t total_memory();

/// The streams of the device, default streams included. A destroyed stream can still be waited for.
std::vector<Stream*> streams_of(int device);

/// Wait for all streams of the device. Returns the first error of a stream, or the code of a
/// timeout.
int synchronize_device(int device, int timeout_ms);

/// Wait for all streams of the device and leave their errors to the next synchronisation, for calls
/// that wait as a side effect. 0, or a code if the wait would never end.
int wait_for_device(int device);

/// Allow or forbid operators of this thread's device to access the memory of `peer`.
void set_peer_access(int peer, bool allowed);

}  // namespace ascend_emulator
