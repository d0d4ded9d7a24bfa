#include "emulator/runtime/objects/value.h"

#include <chrono>
#include <thread>

#include "acl/acl_rt.h"
#include "emulator/runtime/objects/window.h"

namespace ascend_emulator {
namespace {

std::uint64_t* word_at(const void* address) {
    return static_cast<std::uint64_t*>(Window::instance().bytes_of(address));
}

class WriteValue : public Task {
  public:
    WriteValue(void* address, std::uint64_t value) : address_(address), value_(value) {}
    int run() override {
        __atomic_store_n(word_at(address_), value_, __ATOMIC_RELEASE);
        return 0;
    }
    const char* name() const override { return "aclrtValueWrite"; }

  private:
    void* address_;
    std::uint64_t value_;
};

class WaitValue : public Task {
  public:
    WaitValue(const void* address, std::uint64_t value, std::uint32_t flag)
        : address_(address), value_(value), flag_(flag) {}
    int run() override {
        // Nobody notifies a thread of a write to memory.
        constexpr std::chrono::microseconds between_polls(50);
        while (!is_reached(__atomic_load_n(word_at(address_), __ATOMIC_ACQUIRE))) {
            std::this_thread::sleep_for(between_polls);
        }
        return 0;
    }
    const char* name() const override { return "aclrtValueWait"; }

  private:
    bool is_reached(std::uint64_t found) const {
        switch (flag_) {
            case ACL_STREAM_WAIT_VALUE_GEQ:
                return static_cast<std::int64_t>(found - value_) >= 0;
            case ACL_STREAM_WAIT_VALUE_EQ:
                return found == value_;
            case ACL_STREAM_WAIT_VALUE_AND:
                return (found & value_) != 0;
            default:  // ACL_STREAM_WAIT_VALUE_NOR
                return ~(found | value_) != 0;
        }
    }

    const void* address_;
    std::uint64_t value_;
    std::uint32_t flag_;
};

}  // namespace

TaskPtr write_value_task(void* address, std::uint64_t value) {
    return std::make_shared<WriteValue>(address, value);
}

TaskPtr wait_value_task(const void* address, std::uint64_t value, std::uint32_t flag) {
    return std::make_shared<WaitValue>(address, value, flag);
}

}  // namespace ascend_emulator
