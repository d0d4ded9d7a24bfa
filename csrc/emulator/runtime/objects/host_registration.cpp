#include "emulator/runtime/objects/host_registration.h"

#include <cstdint>
#include <map>
#include <mutex>
#include <string>

#include "acl/acl_rt.h"
#include "emulator/interface/handle.h"
#include "emulator/runtime/objects/error.h"
#include "emulator/runtime/objects/memory.h"

namespace ascend_emulator {
namespace {

struct Registrations {
    std::mutex mutex;
    std::map<std::uintptr_t, std::size_t> ranges;  // beginning -> bytes

    bool overlaps(std::uintptr_t begin, std::uintptr_t end) const {
        const auto after = ranges.lower_bound(end);
        return after != ranges.begin() &&
               std::prev(after)->first + std::prev(after)->second > begin;
    }
};

Registrations& registrations() {
    static auto* const all = new Registrations;
    return *all;
}

std::uintptr_t number_of(const void* address) { return reinterpret_cast<std::uintptr_t>(address); }

}  // namespace

int register_host(void* address, std::size_t bytes) {
    std::uintptr_t end = 0;
    if (bytes == 0 || __builtin_add_overflow(number_of(address), bytes, &end)) {
        return fail(ACL_ERROR_RT_PARAM_INVALID,
                    "size must be positive and end within the host's addresses, got " +
                        std::to_string(bytes));
    }
    if (is_device_address(address)) {
        return fail(ACL_ERROR_RT_PARAM_INVALID,
                    address_text(address) + " must be host memory, got device memory");
    }
    Registrations& all = registrations();
    const std::lock_guard<std::mutex> lock(all.mutex);
    if (all.overlaps(number_of(address), end)) {
        return fail(ACL_ERROR_RT_PARAM_INVALID, "the range must not be registered already, got " +
                                                    std::to_string(bytes) + " bytes at " +
                                                    address_text(address));
    }
    all.ranges[number_of(address)] = bytes;
    return 0;
}

int unregister_host(const void* address) {
    Registrations& all = registrations();
    const std::lock_guard<std::mutex> lock(all.mutex);
    return all.ranges.erase(number_of(address)) != 0
               ? 0
               : fail(ACL_ERROR_RT_PARAM_INVALID,
                      address_text(address) +
                          " must be the beginning of a range that aclrtHostRegister registered");
}

bool is_registered(const void* address) {
    Registrations& all = registrations();
    const std::lock_guard<std::mutex> lock(all.mutex);
    return all.overlaps(number_of(address), number_of(address) + 1);
}

}  // namespace ascend_emulator
