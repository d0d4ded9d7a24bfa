// The race detector; run with RACES=1.
#include <chrono>
#include <thread>

#include "check.h"

namespace {

constexpr std::size_t bytes = 4096;

void fill(void* memory, int value, aclrtStream stream) {
    CHECK_EQUAL(aclrtMemsetAsync(memory, bytes, value, bytes, stream), 0);
}

void read_first_byte(const void* memory) {
    char byte = 0;
    CHECK_EQUAL(aclrtMemcpy(&byte, 1, memory, 1, ACL_MEMCPY_DEVICE_TO_HOST), 0);
}

extern "C" long ascend_emulator_race_count();

}  // namespace

TEST(races_are_found_whatever_the_timing) {
    begin();
    aclrtStream first = new_stream();
    aclrtStream second = new_stream();
    aclrtEvent event = new_event();
    auto* memory = device_memory(bytes);
    auto* copy = device_memory(bytes);
    const auto copy_on = [&](aclrtStream stream) {
        CHECK_EQUAL(
            aclrtMemcpyAsync(copy, bytes, memory, bytes, ACL_MEMCPY_DEVICE_TO_DEVICE, stream), 0);
    };
    fill(memory, 1, first);
    copy_on(first);
    CHECK_EQUAL(ascend_emulator_race_count(), 0);  // one stream is in order
    CHECK_EQUAL(aclrtRecordEvent(event, first), 0);
    CHECK_EQUAL(aclrtStreamWaitEvent(second, event), 0);
    copy_on(second);
    CHECK_EQUAL(ascend_emulator_race_count(), 0);  // the event orders
    CHECK_EQUAL(aclrtSynchronizeDevice(), 0);
    fill(memory, 2, first);
    CHECK_EQUAL(ascend_emulator_race_count(), 0);                // the host waited for the second
    std::this_thread::sleep_for(std::chrono::milliseconds(20));  // surely over; still a race
    copy_on(second);
    CHECK_EQUAL(ascend_emulator_race_count(), 1);
}

TEST(a_host_copy_without_waiting_is_a_race) {
    begin();
    auto* memory = device_memory(bytes);
    fill(memory, 1, nullptr);
    read_first_byte(memory);
    CHECK_EQUAL(ascend_emulator_race_count(), 1);
    CHECK_EQUAL(aclrtSynchronizeDevice(), 0);
    read_first_byte(memory);
    CHECK_EQUAL(ascend_emulator_race_count(), 1);
}

TEST(a_host_that_saw_a_stream_idle_or_destroyed_it_has_waited) {
    begin();
    auto* memory = device_memory(bytes);
    aclrtStream stream = new_stream();
    fill(memory, 1, stream);
    aclrtStreamStatus status = ACL_STREAM_STATUS_NOT_READY;
    while (status != ACL_STREAM_STATUS_COMPLETE) {
        CHECK_EQUAL(aclrtStreamQuery(stream, &status), 0);
    }
    read_first_byte(memory);
    CHECK_EQUAL(ascend_emulator_race_count(), 0);
    fill(memory, 2, stream);
    CHECK_EQUAL(aclrtDestroyStream(stream), 0);
    read_first_byte(memory);
    CHECK_EQUAL(ascend_emulator_race_count(), 0);
}
