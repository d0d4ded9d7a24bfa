// Streams, events, graphs, faults of queued work.
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <cstdlib>
#include <thread>
#include <vector>

#include "check.h"
#include "flag.h"

namespace {

using Clock = std::chrono::steady_clock;

void increment(void* counter) { ++*static_cast<std::atomic<int>*>(counter); }

constexpr std::size_t bytes = 4096;

void fill(void* memory, int value, aclrtStream stream) {
    CHECK_EQUAL(aclrtMemsetAsync(memory, bytes, value, bytes, stream), 0);
}

int first_byte(const void* memory) {
    char byte = 0;
    CHECK_EQUAL(aclrtMemcpy(&byte, 1, memory, 1, ACL_MEMCPY_DEVICE_TO_HOST), 0);
    return byte;
}

}  // namespace

TEST(work_runs_later_and_in_order) {
    begin();
    aclrtStream stream = new_stream();
    auto* memory = device_memory(bytes);
    Flag go_on;
    fill(memory, 1, stream);
    go_on.hold(stream);
    fill(memory, 2, stream);
    aclrtStreamStatus status = ACL_STREAM_STATUS_COMPLETE;
    CHECK_EQUAL(aclrtStreamQuery(stream, &status), 0);
    CHECK_EQUAL(status, ACL_STREAM_STATUS_NOT_READY);
    go_on.raise();
    CHECK_EQUAL(aclrtSynchronizeStream(stream), 0);
    CHECK_EQUAL(first_byte(memory), 2);
    CHECK_EQUAL(aclrtStreamQuery(stream, &status), 0);
    CHECK_EQUAL(status, ACL_STREAM_STATUS_COMPLETE);
}

TEST(the_synchronous_mode_runs_each_task_at_once) {  // run with SYNCHRONOUS=1
    begin();
    aclrtStream stream = new_stream();
    aclrtStreamStatus status = ACL_STREAM_STATUS_NOT_READY;
    std::atomic<int> counter{0};
    for (int i = 1; i <= 3; ++i) {
        CHECK_EQUAL(aclrtLaunchHostFunc(stream, increment, &counter), 0);
        CHECK_EQUAL(counter, i);
        CHECK_EQUAL(aclrtStreamQuery(stream, &status), 0);
        CHECK_EQUAL(status, ACL_STREAM_STATUS_COMPLETE);
    }
}

TEST(a_synchronise_that_takes_too_long_is_refused) {
    begin();
    aclrtStream stream = new_stream();
    Flag go_on;
    go_on.hold(stream);
    CHECK_REFUSED(aclrtSynchronizeStreamWithTimeout(stream, 1), 507046,
                  "did not finish 1 tasks within 1 ms");
    go_on.raise();
    constexpr int only_a_hang_takes_as_long = 600'000;  // ms
    CHECK_EQUAL(aclrtSynchronizeStreamWithTimeout(stream, only_a_hang_takes_as_long), 0);
}

TEST(an_event_orders_two_streams) {
    begin();
    aclrtStream first = new_stream();
    aclrtStream second = new_stream();
    aclrtEvent event = new_event();
    auto* memory = device_memory(bytes);
    auto* copy = device_memory(bytes);
    for (int round = 1; round < 50; ++round) {
        fill(memory, round, first);
        CHECK_EQUAL(aclrtRecordEvent(event, first), 0);
        CHECK_EQUAL(aclrtStreamWaitEvent(second, event), 0);
        CHECK_EQUAL(
            aclrtMemcpyAsync(copy, bytes, memory, bytes, ACL_MEMCPY_DEVICE_TO_DEVICE, second), 0);
        CHECK_EQUAL(aclrtRecordEvent(event, second), 0);
        CHECK_EQUAL(aclrtStreamWaitEvent(first, event), 0);
        CHECK_EQUAL(aclrtSynchronizeEvent(event), 0);
        CHECK_EQUAL(first_byte(copy), round);
    }
}

TEST(an_event_may_be_destroyed_while_a_stream_waits_for_it) {
    begin();
    aclrtStream first = new_stream();
    aclrtStream second = new_stream();
    aclrtEvent event = new_event();
    Flag go_on;
    go_on.hold(first);
    CHECK_EQUAL(aclrtRecordEvent(event, first), 0);
    CHECK_EQUAL(aclrtStreamWaitEvent(second, event), 0);
    CHECK_EQUAL(aclrtDestroyEvent(event), 0);
    go_on.raise();
    CHECK_EQUAL(aclrtSynchronizeStream(second), 0);
}

TEST(events_measure_the_time_between) {
    begin();
    aclrtStream stream = new_stream();
    aclrtEvent before = new_event();
    aclrtEvent after = new_event();
    float milliseconds = 0;
    const auto sleep = [](void*) { std::this_thread::sleep_for(std::chrono::milliseconds(30)); };
    CHECK_REFUSED(aclrtEventElapsedTime(&milliseconds, before, after), 107000,
                  "both events must have completed");
    const auto began = Clock::now();
    CHECK_EQUAL(aclrtRecordEvent(before, stream), 0);
    CHECK_EQUAL(aclrtLaunchHostFunc(stream, sleep, nullptr), 0);
    CHECK_EQUAL(aclrtRecordEvent(after, stream), 0);
    CHECK_EQUAL(aclrtSynchronizeEvent(after), 0);
    const std::chrono::duration<float, std::milli> around = Clock::now() - began;
    CHECK_EQUAL(aclrtEventElapsedTime(&milliseconds, before, after), 0);
    CHECK(milliseconds >= 29 && milliseconds <= around.count());
}

TEST(handles_that_were_destroyed_are_recognised) {
    begin();
    aclrtStream stream = new_stream();
    aclrtEvent event = new_event();
    CHECK_EQUAL(aclrtDestroyStream(stream), 0);
    CHECK_EQUAL(aclrtDestroyEvent(event), 0);
    CHECK_REFUSED(aclrtSynchronizeStream(stream), 107017, "was destroyed before this call");
    CHECK_REFUSED(aclrtDestroyStream(stream), 107017, "stream 0x");
    CHECK_REFUSED(aclrtRecordEvent(event, nullptr), 107017, "event 0x");
    CHECK_REFUSED(aclrtRecordEvent(new_stream(), nullptr), 107017, "is not a live event");
}

TEST(a_wait_is_for_the_record_before_it_whatever_is_recorded_later) {
    begin();
    aclrtStream slow = new_stream();
    aclrtStream fast = new_stream();
    aclrtStream waiting = new_stream();
    aclrtEvent event = new_event();
    std::atomic<int> counter{0};
    Flag go_on;
    go_on.hold(slow);
    CHECK_EQUAL(aclrtRecordEvent(event, slow), 0);
    CHECK_EQUAL(aclrtStreamWaitEvent(waiting, event), 0);
    CHECK_EQUAL(aclrtLaunchHostFunc(waiting, increment, &counter), 0);
    CHECK_EQUAL(aclrtRecordEvent(event, fast), 0);
    CHECK_EQUAL(aclrtSynchronizeEvent(event), 0);
    CHECK_REFUSED(aclrtSynchronizeStreamWithTimeout(waiting, 20), 507046, "did not finish 2 tasks");
    CHECK_EQUAL(counter, 0);
    go_on.raise();
    CHECK_EQUAL(aclrtSynchronizeStream(waiting), 0);
    CHECK_EQUAL(counter, 1);
}

TEST(a_record_that_is_dropped_ends_the_waits_for_it) {
    begin();
    aclrtStream dropped = new_stream();
    aclrtStream waiting = new_stream();
    aclrtEvent event = new_event();
    Flag go_on;
    go_on.hold(dropped);
    CHECK_EQUAL(aclrtRecordEvent(event, dropped), 0);
    CHECK_EQUAL(aclrtStreamWaitEvent(waiting, event), 0);
    std::thread destroyer([&] { CHECK_EQUAL(aclrtDestroyStreamForce(dropped), 0); });
    CHECK_EQUAL(aclrtSynchronizeStream(waiting), 0);
    CHECK_EQUAL(aclrtSynchronizeEvent(event), 0);
    go_on.raise();
    destroyer.join();
}

TEST(threads_that_wait_for_a_stream_go_on_when_another_destroys_it_by_force) {
    begin();
    for (int round = 0; round < 300; ++round) {
        aclrtStream stream = new_stream();
        std::atomic<int> counter{0};
        for (int i = 0; i < 20; ++i) {
            CHECK_EQUAL(aclrtLaunchHostFunc(stream, increment, &counter), 0);
        }
        std::thread waiting([] { CHECK_EQUAL(aclrtSynchronizeDevice(), 0); });
        CHECK_EQUAL(aclrtDestroyStreamForce(stream), 0);
        waiting.join();
    }
}

TEST(a_function_on_a_stream_cannot_wait_for_it) {
    begin();
    aclrtStream stream = new_stream();
    CHECK_EQUAL(aclrtLaunchHostFunc(
                    stream,
                    [](void* own) {
                        CHECK_REFUSED(aclrtSynchronizeStream(own), 107003, "would never end");
                        CHECK_REFUSED(aclrtSynchronizeDevice(), 107003, "would never end");
                        CHECK_REFUSED(aclrtDestroyStream(own), 107003, "would never end");
                    },
                    stream),
                0);
    CHECK_EQUAL(aclrtSynchronizeStream(stream), 0);
    CHECK_EQUAL(aclrtDestroyStream(stream), 0);
}

TEST(a_free_leaves_the_error_of_a_task_to_the_next_synchronise) {
    begin();
    aclrtStream stream = new_stream();
    aclrtStream held = new_stream();
    aclrtEvent event = new_event();
    Flag go_on;
    go_on.hold(held);
    CHECK_EQUAL(aclrtRecordEvent(event, held), 0);
    CHECK_EQUAL(aclrtStreamWaitEventWithTimeout(stream, event, 1), 0);
    aclrtStreamStatus status = ACL_STREAM_STATUS_NOT_READY;
    while (status != ACL_STREAM_STATUS_COMPLETE) {
        CHECK_EQUAL(aclrtStreamQuery(stream, &status), 0);
    }
    go_on.raise();
    CHECK_EQUAL(aclrtFree(device_memory(bytes)), 0);
    CHECK_REFUSED(aclrtSynchronizeStream(stream), 107019, "was not recorded within 1 ms");
    CHECK_EQUAL(aclrtSynchronizeStream(stream), 0);
}

TEST(many_threads_share_streams_and_events) {
    begin();
    std::atomic<int> counter{0};
    std::vector<std::thread> threads;
    aclrtStream shared = new_stream();
    for (int i = 0; i < 4; ++i) {
        threads.emplace_back([&] {
            CHECK_EQUAL(aclrtSetDevice(0), 0);
            aclrtStream own = new_stream();
            for (int round = 0; round < 100; ++round) {
                aclrtEvent event = new_event();
                CHECK_EQUAL(aclrtLaunchHostFunc(own, increment, &counter), 0);
                CHECK_EQUAL(aclrtRecordEvent(event, own), 0);
                CHECK_EQUAL(aclrtStreamWaitEvent(shared, event), 0);
                CHECK_EQUAL(aclrtLaunchHostFunc(shared, increment, &counter), 0);
                CHECK_EQUAL(aclrtDestroyEvent(event), 0);
            }
            CHECK_EQUAL(aclrtSynchronizeStream(own), 0);
            CHECK_EQUAL(aclrtDestroyStream(own), 0);
        });
    }
    for (std::thread& thread : threads) {
        thread.join();
    }
    CHECK_EQUAL(aclrtSynchronizeDevice(), 0);
    CHECK_EQUAL(counter, 800);
    CHECK_EQUAL(aclrtDestroyStream(shared), 0);
}

TEST(a_thousand_of_each_lose_nothing) {
    begin();
    for (int i = 0; i < 1000; ++i) {
        aclrtStream stream = new_stream();
        aclrtEvent event = new_event();
        CHECK_EQUAL(aclrtRecordEvent(event, stream), 0);
        CHECK_EQUAL(aclrtFree(device_memory(512)), 0);
        void* pinned = nullptr;
        CHECK_EQUAL(aclrtMallocHost(&pinned, 512), 0);
        CHECK_EQUAL(aclrtFreeHost(pinned), 0);
        aclmdlRI graph = nullptr;
        CHECK_EQUAL(aclmdlRICaptureBegin(stream, ACL_MODEL_RI_CAPTURE_MODE_GLOBAL), 0);
        CHECK_EQUAL(aclrtRecordEvent(event, stream), 0);
        CHECK_EQUAL(aclmdlRICaptureEnd(stream, &graph), 0);
        CHECK_EQUAL(aclmdlRIDestroy(graph), 0);
        CHECK_EQUAL(aclrtDestroyStream(stream), 0);
        CHECK_EQUAL(aclrtDestroyEvent(event), 0);
    }
}

TEST(a_forked_child_cannot_use_the_npu) {
    begin();
    new_stream();
    const pid_t child = fork();
    if (child == 0) {
        void* address = nullptr;
        const bool refused = aclrtMalloc(&address, 512, ACL_MEM_MALLOC_HUGE_FIRST) == 100001;
        const char* message = aclGetRecentErrMsg();
        _exit(refused && std::strstr(message, "forked child") != nullptr ? 0 : 1);
    }
    int status = 0;
    waitpid(child, &status, 0);
    CHECK_EQUAL(status, 0);
}

TEST(a_captured_graph_runs_when_it_is_replayed) {
    begin();
    aclrtStream stream = new_stream();
    aclrtStream side = new_stream();
    aclrtEvent event = new_event();
    std::atomic<int> counter{0};
    aclmdlRI graph = nullptr;
    CHECK_EQUAL(aclmdlRICaptureBegin(stream, ACL_MODEL_RI_CAPTURE_MODE_GLOBAL), 0);
    CHECK_EQUAL(aclrtLaunchHostFunc(stream, increment, &counter), 0);
    CHECK_EQUAL(aclrtRecordEvent(event, stream), 0);
    CHECK_EQUAL(aclrtStreamWaitEvent(side, event), 0);
    CHECK_EQUAL(aclrtLaunchHostFunc(side, increment, &counter), 0);
    CHECK_REFUSED(aclrtSynchronizeStream(stream), 107026,
                  "must not be waited for while it is being captured");
    CHECK_EQUAL(aclmdlRICaptureEnd(stream, &graph), 0);
    CHECK_EQUAL(aclrtSynchronizeDevice(), 0);
    CHECK_EQUAL(counter, 0);
    for (int i = 1; i <= 3; ++i) {
        CHECK_EQUAL(aclmdlRIExecuteAsync(graph, stream), 0);
        CHECK_EQUAL(aclrtSynchronizeStream(stream), 0);
        CHECK_EQUAL(counter, 2 * i);
    }
    CHECK_EQUAL(aclmdlRIDestroy(graph), 0);
    CHECK_REFUSED(aclmdlRIExecuteAsync(graph, stream), 107017, "graph 0x");
}

TEST(memory_is_shared_with_another_process) {
    int pipes[2][2];
    CHECK_EQUAL(pipe(pipes[0]) + pipe(pipes[1]), 0);
    const pid_t child = fork();
    char key[65] = {};
    char done = 0;
    if (child == 0) {
        begin();
        CHECK_EQUAL(read(pipes[0][0], key, sizeof key), sizeof key);
        void* imported = nullptr;
        CHECK_EQUAL(aclrtIpcMemImportByKey(&imported, key, 0), 0);
        CHECK_EQUAL(first_byte(imported), 7);
        CHECK_EQUAL(aclrtMemset(imported, bytes, 9, bytes), 0);
        CHECK_EQUAL(write(pipes[1][1], "x", 1), 1);
        CHECK_EQUAL(aclrtIpcMemClose(key), 0);
        CHECK_REFUSED(aclrtMemset(imported, bytes, 9, bytes), 107000, "is freed memory");
        _exit(0);
    }
    begin();
    auto* memory = device_memory(bytes);
    fill(memory, 7, nullptr);
    CHECK_EQUAL(aclrtSynchronizeStream(nullptr), 0);
    CHECK_EQUAL(aclrtIpcMemGetExportKey(memory, bytes, key, sizeof key, 0), 0);
    CHECK_EQUAL(write(pipes[0][1], key, sizeof key), sizeof key);
    CHECK_EQUAL(read(pipes[1][0], &done, 1), 1);
    CHECK_EQUAL(first_byte(memory), 9);
    int status = 0;
    waitpid(child, &status, 0);
    CHECK_EQUAL(status, 0);
    void* imported = nullptr;
    CHECK_REFUSED(aclrtIpcMemImportByKey(&imported, "emulated-1-99-0", 0), 107000,
                  "the process that exported it has ended, belongs to another user");
}

TEST(memory_that_is_exported_while_it_is_written_loses_nothing) {
    begin();
    constexpr std::size_t size = 64 << 20;
    auto* memory = device_memory<char>(size);
    CHECK_EQUAL(aclrtMemset(memory, size, 0, size), 0);
    std::atomic<bool> exported{false};
    std::size_t written = 0;
    std::thread writer([&] {
        CHECK_EQUAL(aclrtSetDevice(0), 0);
        aclrtStream stream = new_stream();
        while (!exported && written < size) {
            CHECK_EQUAL(aclrtMemsetAsync(memory + written, 1, 1, 1, stream), 0);
            ++written;
        }
        CHECK_EQUAL(aclrtSynchronizeStream(stream), 0);
    });
    char key[65] = {};
    CHECK_EQUAL(aclrtIpcMemGetExportKey(memory, size, key, sizeof key, 0), 0);
    exported = true;
    writer.join();
    std::vector<char> received(size);
    CHECK_EQUAL(aclrtMemcpy(received.data(), size, memory, size, ACL_MEMCPY_DEVICE_TO_HOST), 0);
    for (std::size_t i = 0; i < size; ++i) {
        CHECK_EQUAL(received[i], i < written ? 1 : 0);
    }
}

TEST(nothing_is_reported_by_a_forked_child_that_exits) {
    begin();
    aclrtStream stream = new_stream();
    const pid_t child = fork();
    if (child == 0) {
        std::exit(0);
    }
    int status = 0;
    waitpid(child, &status, 0);
    CHECK_EQUAL(status, 0);
    CHECK_EQUAL(aclrtDestroyStream(stream), 0);
}

TEST(a_fault_delays_what_is_queued) {  // run with aclrtMemsetAsync:2:delay=80
    begin();
    auto* memory = device_memory(bytes);
    Flag go_on;
    go_on.hold(nullptr);
    fill(memory, 1, nullptr);
    fill(memory, 2, nullptr);
    const auto began = Clock::now();  // the calls are over, and the task has not begun
    go_on.raise();
    CHECK_EQUAL(aclrtSynchronizeDevice(), 0);
    CHECK(Clock::now() - began >= std::chrono::milliseconds(80));
    CHECK_EQUAL(first_byte(memory), 2);
}

TEST(a_fault_hangs_what_is_queued) {  // run with aclrtMemsetAsync:1:hang
    begin();
    fill(device_memory(bytes), 1, nullptr);
    CHECK_REFUSED(aclrtSynchronizeStreamWithTimeout(nullptr, 50), 507046, "did not finish");
    std::puts("passed");
    std::fflush(stdout);
    _exit(0);  // the stream's worker never ends
}
