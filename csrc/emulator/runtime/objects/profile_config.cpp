#include "emulator/runtime/objects/profile_config.h"

#include "emulator/runtime/objects/error.h"

namespace ascend_emulator {
namespace {

class Mark : public Task {
  public:
    explicit Mark(std::string text) : text_(std::move(text)) {}
    int run() override { return 0; }
    const char* name() const override { return text_.c_str(); }

  private:
    std::string text_;
};

const ProfileConfig* cast(const aclprofConfig* handle) {
    return reinterpret_cast<const ProfileConfig*>(handle);
}

}  // namespace

aclprofConfig* create_profile_config(const std::uint32_t* devices, std::uint32_t count) {
    ProfileConfig config;
    for (std::uint32_t i = 0; devices != nullptr && i < count; ++i) {
        config.devices.push_back(static_cast<int>(devices[i]));
    }
    return reinterpret_cast<aclprofConfig*>(make_handle<ProfileConfig>(std::move(config)));
}

const ProfileConfig* profile_config_of(const aclprofConfig* handle) {
    const std::string problem = why_unusable(cast(handle));
    if (!problem.empty()) {
        fail(ACL_ERROR_INVALID_PARAM, problem);
        return nullptr;
    }
    return cast(handle);
}

TaskPtr mark_task(const std::string& text) { return std::make_shared<Mark>(text); }

void destroy_profile_config(const aclprofConfig* handle) { destroy_handle(cast(handle)); }

}  // namespace ascend_emulator
