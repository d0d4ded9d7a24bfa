// What a profile records: the tasks of devices, and marks that a program queues.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "acl/acl_prof.h"
#include "emulator/interface/services.h"

namespace ascend_emulator {

/// What an aclprofConfig points to.
struct ProfileConfig {
    static constexpr auto handle_kind = HandleKind::profile_config;

    std::vector<int> devices;
};

aclprofConfig* create_profile_config(const std::uint32_t* devices, std::uint32_t count);

/// The configuration of a handle; null, with an error noted, if the handle is not a live one.
const ProfileConfig* profile_config_of(const aclprofConfig* handle);

void destroy_profile_config(const aclprofConfig* handle);

/// A task that does nothing, and whose span in a profile has the text as its name.
TaskPtr mark_task(const std::string& text);

}  // namespace ascend_emulator
