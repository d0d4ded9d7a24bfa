#include "emulator/runtime/objects/device.h"

#include <array>
#include <string>
#include <vector>

#include "acl/acl_rt.h"
#include "emulator/options/options.h"
#include "emulator/runtime/objects/error.h"
#include "emulator/runtime/objects/stream.h"

namespace ascend_emulator {
namespace {

constexpr int max_devices = 64;
thread_local int device_of_thread = -1;

}  // namespace

DeviceState& device_state(int device) {
    // Never destroyed: stream workers outlive main.
    static auto* const all = [] {
        auto* states = new std::array<DeviceState, max_devices>;
        for (int id = 0; id < max_devices; ++id) {
            (*states)[id].id = id;
        }
        return states;
    }();
    return (*all)[device];
}

bool device_exists(int device) { return device >= 0 && device < options().devices; }

int device_of_context(const void* context) {
    for (int device = 0; device_exists(device); ++device) {
        if (&device_state(device) == context) {
            return device;
        }
    }
    return -1;
}

int check_device(int device) {
    return device_exists(device)
               ? 0
               : fail(ACL_ERROR_INVALID_DEVICE,
                      "device must be 0 to " + std::to_string(options().devices - 1) + ", got " +
                          std::to_string(device) +
                          " (ASCEND_EMULATOR_DEVICES sets the number of devices)");
}

std::size_t total_memory() { return static_cast<std::size_t>(options().memory_mb) << 20; }
int current_device_or_none() { return device_of_thread; }
void set_current_device(int device) { device_of_thread = device; }

int current_device() {
    if (device_of_thread < 0) {
        device_of_thread = 0;
    }
    return device_of_thread;
}

int synchronize_device(int device, int timeout_ms) {
    DeviceState& state = device_state(device);
    std::vector<Stream*> streams;
    {
        const std::lock_guard<std::mutex> lock(state.mutex);
        streams.assign(state.streams.begin(), state.streams.end());
    }
    int first = 0;
    for (Stream* stream : streams) {
        const int code = stream->synchronize(timeout_ms);
        first = first == 0 ? code : first;
    }
    return first;
}

void set_peer_access(int peer, bool allowed) {
    DeviceState& state = device_state(current_device());
    const std::lock_guard<std::mutex> lock(state.mutex);
    if (allowed) {
        state.peers.insert(peer);
    } else {
        state.peers.erase(peer);
    }
}

}  // namespace ascend_emulator
