// Implements the interface that the emulator's other libraries use.
#include "emulator/interface/services.h"

#include "acl/acl_rt.h"
#include "emulator/checks/live_handles.h"
#include "emulator/interface/data_buffer.h"
#include "emulator/options/options.h"
#include "emulator/runtime/api/entry.h"
#include "emulator/runtime/objects/context.h"
#include "emulator/runtime/objects/device.h"
#include "emulator/runtime/objects/error.h"
#include "emulator/runtime/objects/memory.h"
#include "emulator/runtime/objects/stream.h"
#include "emulator/runtime/objects/window.h"
#include "emulator/trace/kernel_file.h"

namespace ascend_emulator {
namespace {

/// A message if the stream's device may not access the block's device, or "".
std::string why_of_another_device(const BlockInfo& block, const void* address, void* handle) {
    const Stream* stream = stream_of(handle);
    if (stream == nullptr || block.device == stream->device() ||
        (block.kind != BlockKind::device && block.kind != BlockKind::mapped)) {
        return {};
    }
    DeviceState& state = device_state(stream->device());
    const std::lock_guard<std::mutex> lock(state.mutex);
    if (state.peers.count(block.device) != 0) {
        return {};
    }
    return address_text(address) + " is memory of device " + std::to_string(block.device) +
           ", which device " + std::to_string(stream->device()) +
           " of the stream cannot access; call aclrtDeviceEnablePeerAccess first";
}

class RuntimeServices : public Services {
  public:
    int enter(const char* function) override { return ascend_emulator::enter(function); }
    int fail(int code, const std::string& message) override {
        return ascend_emulator::fail(code, message);
    }
    int enqueue(void* stream, TaskPtr task) override {
        return ascend_emulator::enqueue(stream, std::move(task));
    }
    int synchronize_device() override {
        return ascend_emulator::synchronize_device(ascend_emulator::current_device(), -1);
    }
    void* bytes_of(const void* address) override { return Window::instance().bytes_of(address); }
    std::string why_out_of_reach(const void* address, std::size_t bytes, void* stream) override {
        BlockInfo block;
        const std::string problem = why_not_live(address, bytes, &block);
        return problem.empty() ? why_of_another_device(block, address, stream) : problem;
    }
    MemoryRange live_range(const void* bytes) override {
        const Window& window = Window::instance();
        BlockInfo block;
        if (!find_block(window.address_of(bytes), &block) || block.kind == BlockKind::reserved) {
            return {};
        }
        return {window.bytes_of(block.begin), block.bytes};
    }
    std::string why_no_buffer(const aclDataBuffer* buffer) override { return why_unusable(buffer); }
    void count_handle(HandleKind kind, int change) override {
        ascend_emulator::count_handle(kind, change);
    }
    const Options& options() override { return ascend_emulator::options(); }
    bool write_kernel_trace(const std::string& events) override {
        return ascend_emulator::write_kernel_trace(events);
    }
};

}  // namespace

}  // namespace ascend_emulator

EMULATOR_EXPORT ascend_emulator::Services* ascend_emulator_services() {
    static auto* const services = new ascend_emulator::RuntimeServices;
    return services;
}
