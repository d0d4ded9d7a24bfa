#include "emulator/options/options.h"

#include <unistd.h>

#include <cstdlib>
#include <cstring>
#include <string_view>
#include <variant>

namespace ascend_emulator {
namespace {

constexpr std::string_view prefix = "ASCEND_EMULATOR_";

using Field = std::variant<long Options::*, bool Options::*, std::string Options::*>;

struct Row {
    const char* name;  // after the prefix
    Field field;
    const char* meaning;
    long least = 0;  // of a number
    long most = 1'000'000'000;
};

const Row table[] = {
    {"DEVICES", &Options::devices, "number of devices", 1, 64},
    {"MEMORY_MB", &Options::memory_mb, "memory of each device", 1},
    {"SOC", &Options::soc, "what aclrtGetSocName says: Ascend910B2, Ascend910_9382, Ascend950 ..."},
    {"CANN_VERSION", &Options::cann_version, "what aclsysGetCANNVersion says"},
    {"DRIVER_VERSION", &Options::driver_version, "what it says of the driver"},
    {"WINDOW_GB", &Options::window_gb, "device addresses reserved, for all devices together", 1},
    {"SYNCHRONOUS", &Options::synchronous, "1: each task ends before the call that queued it"},
    {"TASK_DELAY_US", &Options::task_delay_us, "sleep before each task, to make races show"},
    {"OP_THREADS", &Options::op_threads, "threads that one operator computes with", 1},
    {"HCCL_TIMEOUT_S", &Options::hccl_timeout_s, "how long a collective waits for its peers"},
    {"POISON", &Options::poison, "0: do not fill new memory with 0xCB"},
    {"LEAKS", &Options::leaks, "0: no report at exit of what was not freed or destroyed"},
    {"RACES", &Options::races, "1: report accesses that nothing orders after an earlier one"},
    {"FAULT", &Options::fault, "function:n:code|hang|delay=ms, several joined by ';'"},
    {"BANNER", &Options::banner, "0: do not say at aclInit that the NPU is emulated"},
    {"TRACE", &Options::trace, "1: each call on standard error"},
    {"TRACE_FILE", &Options::trace_file, "Chrome trace of the tasks; %p is the process id"},
    {"LOG_LEVEL", &Options::log_level, "torch_npu's log from this level on: 0 debug ... 4 none", 0,
     4},
    {"HOME", &Options::home, "the emulated CANN in use; set by ascend_ops.emulator"},
};

std::string wanted(const Row& row, std::string_view value, const std::string& kind) {
    return "environment variable " + std::string(prefix) + row.name + "='" + std::string(value) +
           "': expected " + kind;
}

void set(Options& options, const Row& row, std::string_view value) {
    const std::string text(value);
    if (const auto* field = std::get_if<std::string Options::*>(&row.field)) {
        options.*(*field) = text;
    } else if (const auto* flag = std::get_if<bool Options::*>(&row.field)) {
        if (text == "0" || text == "1") {
            options.*(*flag) = text == "1";
        } else {
            options.problem = wanted(row, value, "0 or 1");
        }
    } else {
        char* end = nullptr;
        const long number = std::strtol(text.c_str(), &end, 10);
        if (*end != '\0' || number < row.least || number > row.most) {  // also what overflows
            options.problem = wanted(row, value,
                                     "a whole number from " + std::to_string(row.least) + " to " +
                                         std::to_string(row.most));
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
                      " is none of the emulator's. These are:\n" + describe_options();
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

}  // namespace

Options read_options(const char* const* environment) {
    Options options;
    for (; *environment != nullptr; ++environment) {
        const std::string_view entry = *environment;
        const std::size_t equals = entry.find('=');
        if (entry.substr(0, prefix.size()) == prefix && equals != std::string_view::npos) {
            const std::string_view name = entry.substr(prefix.size(), equals - prefix.size());
            set_by_name(options, name, entry.substr(equals + 1));
        }
    }
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
    static const Options* const read = new Options(read_options(environ));
    return *read;
}

}  // namespace ascend_emulator
