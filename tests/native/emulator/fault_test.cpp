// Failures on demand; test_native.py sets ASCEND_EMULATOR_FAULT for each case.
#include <chrono>

#include "check.h"
#include "flag.h"

namespace {

using Clock = std::chrono::steady_clock;
constexpr std::chrono::milliseconds delay(80);

}  // namespace

TEST(a_fault_delays_a_call) {
    begin();
    const auto began = Clock::now();
    new_event();
    CHECK(Clock::now() - began >= delay);
}

TEST(a_fault_delays_a_replay_and_not_its_call) {
    begin();
    aclrtStream stream = new_stream();
    aclmdlRI graph = nullptr;
    CHECK_EQUAL(aclmdlRICaptureBegin(stream, ACL_MODEL_RI_CAPTURE_MODE_GLOBAL), 0);
    CHECK_EQUAL(aclmdlRICaptureEnd(stream, &graph), 0);
    Flag go_on;
    go_on.hold(stream);
    CHECK_EQUAL(aclmdlRIExecuteAsync(graph, stream), 0);
    const auto began = Clock::now();  // the call is over, and the replay has not begun
    go_on.raise();
    CHECK_EQUAL(aclrtSynchronizeStream(stream), 0);
    CHECK(Clock::now() - began >= delay);
}

TEST(a_fault_fails_aclInit) {
    CHECK_REFUSED(aclInit(nullptr), 500000, "sets code 500000");
    CHECK_EQUAL(aclInit(nullptr), 0);
}

TEST(a_fault_that_did_not_happen_is_reported) {
    begin();
    new_event();
}
