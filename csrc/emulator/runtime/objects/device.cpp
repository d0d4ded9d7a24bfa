#include "emulator/runtime/objects/device.h"

#include <array>
#include <string>
#include <vector>

#include "acl/acl_rt.h"
#include "emulator/options/options.h"
#include "emulator/runtime/objects/context.h"
#include "emulator/runtime/objects/error.h"
#include "emulator/runtime/objects/stream.h"

namespace ascend_emulator {
namespace {

constexpr int max_devices = 64;

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

int device_count() { return static_cast<int>(options().visible_devices.size()); }

bool device_exists(int device) { return device >= 0 && device < device_count(); }

int physical_device(int device) {
    return options().visible_devices[static_cast<std::size_t>(device)];
}

int check_device(int device) {
    if (device_exists(device)) {
        return 0;
    }
    const std::string wanted = device_count() == 0
                                   ? "no device is visible"
                                   : "device must be 0 to " + std::to_string(device_count() - 1);
    return fail(ACL_ERROR_INVALID_DEVICE,
                wanted + ", got " + std::to_string(device) +
                    " (ASCEND_EMULATOR_DEVICES sets the number of devices, and "
                    "ASCEND_RT_VISIBLE_DEVICES selects some of them)");
}

std::size_t total_memory() { return static_cast<std::size_t>(options().memory_mb) << 20; }

std::vector<Stream*> streams_of(int device) {
    DeviceState& state = device_state(device);
    const std::lock_guard<std::mutex> lock(state.mutex);
    return {state.streams.begin(), state.streams.end()};
}

int synchronize_device(int device, int timeout_ms) {
    int first = 0;
    for (Stream* stream : streams_of(device)) {
        const int code = stream->synchronize(timeout_ms);
        first = first == 0 ? code : first;
    }
    return first;
}

int wait_for_device(int device) {
    for (Stream* stream : streams_of(device)) {
        if (const int refused = stream->wait()) {
            return refused;
        }
    }
    return 0;
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
