#include "emulator/options/options.h"

#include <pthread.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <string_view>
#include <utility>
#include <variant>

namespace ascend_emulator {
namespace {

constexpr std::string_view prefix = "ASCEND_EMULATOR_";

using Field = std::variant<long Options::*, bool Options::*, std::string Options::*>;

struct Row {
    const char* name;  // after the prefix
    Field field;
    const char* meaning;
    long min = 0;  // if it is a number
    long max = 1'000'000'000;
};

const Row table[] = {
    {"DEVICES", &Options::devices, "number of devices", 1, 64},
    {"MEMORY_MB", &Options::memory_mb, "memory of each device", 1},
    {"SOC", &Options::soc, "result of aclrtGetSocName: Ascend910B2, Ascend910_9382, Ascend950 ..."},
    {"CANN_VERSION", &Options::cann_version, "result of aclsysGetCANNVersion"},
    {"DRIVER_VERSION", &Options::driver_version, "its result for the driver"},
    {"WINDOW_GB", &Options::window_gb, "device addresses reserved, for all devices together", 1},
    {"SYNCHRONOUS", &Options::synchronous, "1: each task ends before the call that queues it"},
    {"TASK_DELAY_US", &Options::task_delay_us, "sleep before each task, to provoke races"},
    {"OP_THREADS", &Options::op_threads, "threads per operator", 1},
    {"HCCL_TIMEOUT_S", &Options::hccl_timeout_s, "seconds that a collective waits for its peers"},
    {"POISON", &Options::poison, "0: do not fill new memory with 0xCB"},
    {"LEAKS", &Options::leaks, "0: do not report at exit what was not freed or destroyed"},
    {"RACES", &Options::races, "1: report accesses that no stream or event orders"},
    {"KERNEL_CHECKS", &Options::kernel_checks,
     "0: do not look for mistakes in kernels written in Ascend C"},
    {"KERNEL_HINTS", &Options::kernel_hints,
     "0: do not print what would be slow on a device in kernels written in Ascend C"},
    {"KERNEL_TIMEOUT_S", &Options::kernel_timeout_s,
     "seconds of CPU time after which a launch of such a kernel is ended; 0: none"},
    {"FAULT", &Options::fault, "function:n:code|hang|delay=ms, several joined by ';'"},
    {"BANNER", &Options::banner, "0: do not print at aclInit that the NPU is emulated"},
    {"TRACE", &Options::trace, "1: print each call and task on standard error"},
    {"TRACE_FILE", &Options::trace_file, "Chrome trace of the tasks; %p is the process id"},
    {"KERNEL_TRACE", &Options::kernel_trace,
     "modelled Chrome timeline of kernels in Ascend C, not a measurement; %p is the process id"},
    {"KERNEL_TRACE_EVENTS", &Options::kernel_trace_events,
     "events in that timeline; later ones are left out", 1},
    {"LOG_LEVEL", &Options::log_level,
     "print torch_npu's log from this level on: 0 debug ... 4 none", 0, 4},
    {"HOME", &Options::home, "the emulated CANN in use; set by ascend_ops.emulator"},
};

std::string wrong(const Row& row, const std::string& must_be, std::string_view value) {
    return "environment variable " + std::string(prefix) + row.name + " must be " + must_be +
           ", got '" + std::string(value) + "'";
}

void set(Options& options, const Row& row, std::string_view value) {
    const std::string text(value);
    if (const auto* field = std::get_if<std::string Options::*>(&row.field)) {
        options.*(*field) = text;
    } else if (const auto* flag = std::get_if<bool Options::*>(&row.field)) {
        if (text == "0" || text == "1") {
            options.*(*flag) = text == "1";
        } else {
            options.problem = wrong(row, "0 or 1", value);
        }
    } else {
        char* end = nullptr;
        const long number = std::strtol(text.c_str(), &end, 10);
        if (*end != '\0' || number < row.min || number > row.max) {  // or overflows
            options.problem = wrong(
                row,
                "an integer from " + std::to_string(row.min) + " to " + std::to_string(row.max),
                value);
        } else {
            options.*std::get<long Options::*>(row.field) = number;
        }
    }
}

void set_by_name(Options& options, std::string_view name, std::string_view value) {
    for (const Row& row : table) {
        if (name == row.name) {
            if (!value.empty()) {
                set(options, row, value);
            }
            return;
        }
    }
    options.problem = "environment variable " + std::string(prefix) + std::string(name) +
                      " is not one of the emulator's, which are:\n" + describe_options();
}

std::string default_text(const Row& row) {
    const Options defaults;
    if (const auto* field = std::get_if<std::string Options::*>(&row.field)) {
        return defaults.*(*field);
    }
    if (const auto* flag = std::get_if<bool Options::*>(&row.field)) {
        return defaults.*(*flag) ? "1" : "0";
    }
    return std::to_string(defaults.*std::get<long Options::*>(row.field));
}

/// The devices that ASCEND_RT_VISIBLE_DEVICES selects. CANN documents that a character other than
/// digits and commas, or an index that does not exist, ends the list. Null selects all devices.
std::vector<int> select_devices(const char* text, long devices) {
    std::vector<int> selected;
    if (text == nullptr) {
        for (int device = 0; device < devices; ++device) {
            selected.push_back(device);
        }
        return selected;
    }
    while (*text >= '0' && *text <= '9') {
        char* end = nullptr;
        const long device = std::strtol(text, &end, 10);
        if (device >= devices ||
            std::find(selected.begin(), selected.end(), device) != selected.end()) {
            break;
        }
        selected.push_back(static_cast<int>(device));
        if (*end != ',') {
            break;
        }
        text = end + 1;
    }
    return selected;
}

std::atomic<const Options*> current{nullptr};  // never freed: other threads may use it
std::atomic<const Options*> before_fork{nullptr};
std::atomic<bool> kept{false};

void forget_in_fork() {
    if (!kept && current != nullptr) {
        before_fork = current.exchange(nullptr);
    }
}

/// A message if an option differs that torch_npu may have read before the fork, or "".
std::string why_too_late(const Options& before, const Options& now) {
    for (const auto& [name, field] :
         {std::pair("SOC", &Options::soc), std::pair("CANN_VERSION", &Options::cann_version),
          std::pair("DRIVER_VERSION", &Options::driver_version)}) {
        if (before.*field != now.*field) {
            return "environment variable " + std::string(prefix) + name + " must be '" +
                   before.*field + "', which was read before the process was forked, got '" +
                   now.*field + "'";
        }
    }
    return {};
}

Options read_own() {
    Options options = read_options(environ);
    const Options* const before = before_fork;
    if (before != nullptr && options.problem.empty()) {
        options.problem = why_too_late(*before, options);
    }
    return options;
}

const Options* read_once() {
    static const bool watching = pthread_atfork(nullptr, nullptr, forget_in_fork) == 0;
    (void)watching;
    auto own = std::make_unique<const Options>(read_own());
    const Options* found = nullptr;
    if (current.compare_exchange_strong(found, own.get())) {  // no other thread was faster
        found = own.release();
    }
    return found;
}

}  // namespace

Options read_options(const char* const* environment) {
    Options options;
    const char* visible = nullptr;
    constexpr std::string_view visible_prefix = "ASCEND_RT_VISIBLE_DEVICES=";
    for (; *environment != nullptr; ++environment) {
        const std::string_view entry = *environment;
        const std::size_t equals = entry.find('=');
        if (entry.substr(0, prefix.size()) == prefix && equals != std::string_view::npos) {
            const std::string_view name = entry.substr(prefix.size(), equals - prefix.size());
            set_by_name(options, name, entry.substr(equals + 1));
        }
        if (entry.substr(0, visible_prefix.size()) == visible_prefix) {
            visible = *environment + visible_prefix.size();
        }
    }
    options.visible_devices = select_devices(visible, options.devices);
    return options;
}

std::string describe_options() {
    std::string text;
    for (const Row& row : table) {
        text += std::string(prefix) + row.name + " (default '" + default_text(row) +
                "'): " + row.meaning + "\n";
    }
    return text;
}

const Options& options() {
    const Options* found = current.load(std::memory_order_acquire);
    if (found == nullptr) {
        found = read_once();
    }
    return *found;
}

void keep_options_in_forks() { kept = true; }

}  // namespace ascend_emulator
