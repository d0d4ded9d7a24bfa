// The race detector; run with RACES=1.
#include "check.h"
#include "flag.h"

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
    Flag begin_filling;
    Flag filled;
    begin_filling.hold(first);
    fill(memory, 2, first);
    filled.raise_on(first);
    CHECK_EQUAL(ascend_emulator_race_count(), 0);  // the host waited for the second stream
    begin_filling.raise();
    filled.wait();
    copy_on(second);  // the fill is over, but nothing orders the copy after it
    CHECK_EQUAL(ascend_emulator_race_count(), 1);
    CHECK_EQUAL(aclrtSynchronizeStream(second), 0);
    Flag fill_later;
    fill_later.hold(first);
    fill(memory, 3, first);
    copy_on(second);  // the fill has not begun
    CHECK_EQUAL(ascend_emulator_race_count(), 2);
    fill_later.raise();
    CHECK_EQUAL(aclrtSynchronizeDevice(), 0);
}

TEST(a_host_copy_without_waiting_is_a_race) {
    begin();
    auto* memory = device_memory(bytes);
    // The host touches no lock of the stream between the fill and its own read: for ThreadSanitizer
    // nothing orders the two.
    Flag begin_filling;
    Flag filled;
    begin_filling.hold(nullptr);
    fill(memory, 1, nullptr);
    filled.raise_on(nullptr);
    begin_filling.raise();
    filled.wait();
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
