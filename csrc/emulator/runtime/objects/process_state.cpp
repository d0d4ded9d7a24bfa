#include "emulator/runtime/objects/process_state.h"

#include <pthread.h>

#include <atomic>

namespace ascend_emulator {
namespace {

std::atomic<State> current_state{State::fresh};
std::atomic<bool> forked{false};

}  // namespace

State state() { return current_state; }
void set_state(State state) { current_state = state; }

void watch_forks() {
    static const bool watching = [] {
        pthread_atfork(nullptr, nullptr, [] { forked = true; });
        return true;
    }();
    (void)watching;
}

bool is_forked_child() { return forked; }

}  // namespace ascend_emulator
