#include "emulator/ascendc/kernel_trace.h"

#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cstdio>
#include <mutex>

#include "emulator/ascendc/launch.h"
#include "emulator/ascendc/shadow.h"
#include "emulator/ascendc/soc.h"
#include "emulator/interface/json.h"
#include "emulator/interface/services.h"

namespace aicore {
namespace {

using ascend_emulator::json_escaped;

constexpr const char* model =
    "modelled from documented and assumed costs of instructions on an emulated core; not a "
    "measurement, and not the speed of an NPU";
constexpr std::size_t most_text = 1 << 20;  // characters that wait to be written
// From top to bottom, as data goes through a core.
constexpr Pipe order_of_rows[] = {Pipe::s, Pipe::mte2, Pipe::mte1, Pipe::m,
                                  Pipe::v, Pipe::fix,  Pipe::mte3};

std::atomic<long> events_taken{0};
std::atomic<bool> limit_reported{false};
std::atomic<int> launches{0};
std::atomic<bool> is_refused{false};  // the file cannot be written

/// What the file has so far.
struct Written {
    std::mutex mutex;
    bool has_header = false;
    int processes = 0;
    std::uint64_t cycles = 0;
};

Written& written() {
    static auto* const only = new Written;
    return *only;
}

const ascend_emulator::Options& options() { return ascend_emulator::services().options(); }

void report_limit() {
    if (!limit_reported.exchange(true)) {
        std::fprintf(stderr,
                     "[emulated NPU] the kernel trace has %ld events, the limit of "
                     "ASCEND_EMULATOR_KERNEL_TRACE_EVENTS; later instructions are left out\n",
                     options().kernel_trace_events);
    }
}

std::string metadata(const char* kind, int process, int thread, const std::string& arguments) {
    return std::string(R"({"name":")") + kind + R"(","ph":"M","pid":)" + std::to_string(process) +
           R"(,"tid":)" + std::to_string(thread) + R"(,"args":{)" + arguments + "}},\n";
}

std::string named(const std::string& name) { return R"("name":")" + json_escaped(name) + "\""; }

std::string sorted(int place) { return "\"sort_index\":" + std::to_string(place); }

std::string header() {
    return metadata("model", 0, 0,
                    std::string(R"("emulated":true,"model":")") + model + R"(","soc":")" +
                        json_escaped(soc().name) + R"(","process":)" + std::to_string(getpid()) +
                        ",\"costs\":{" + costs_as_json() + "}");
}

/// The row of a pipe. No other process has a thread of that number, and none has the number 0.
int thread_of(Pipe pipe, int process) { return process * 10 + static_cast<int>(pipe); }

/// Whole nanoseconds, so that an event does not seem to end behind the begin of the next.
std::uint64_t nanoseconds(std::uint64_t cycles) { return cycles * 1000 / cycles_per_microsecond(); }

std::string microseconds(std::uint64_t ns) {
    char text[40];
    std::snprintf(text, sizeof text, "%llu.%03llu", static_cast<unsigned long long>(ns / 1000),
                  static_cast<unsigned long long>(ns % 1000));
    return text;
}

std::string line_of(const TimelineEvent& event, int process, std::uint64_t offset) {
    const std::uint64_t begin = nanoseconds(offset + event.begin);
    const std::uint64_t end = nanoseconds(offset + event.end);
    std::string text =
        R"({"name":")" + json_escaped(event.name) + R"(","ph":"X","pid":)" +
        std::to_string(process) + ",\"tid\":" + std::to_string(thread_of(event.pipe, process)) +
        ",\"ts\":" + microseconds(begin) + ",\"dur\":" + microseconds(end - begin) +
        R"(,"args":{"line":")" + json_escaped(place(event.site)) + R"(","begin_cycle":)" +
        std::to_string(event.begin) + ",\"cycles\":" + std::to_string(event.end - event.begin);
    const auto add = [&](const char* name, std::uint64_t value) {
        if (value != 0) {
            text += std::string(",\"") + name + "\":" + std::to_string(value);
        }
    };
    add("bytes_read", event.read);
    add("bytes_written", event.written);
    add(event.pipe == Pipe::m ? "cube_cycles" : "repeats", event.steps);
    if (event.pipe == Pipe::v && passes_of(event.name) > 1) {
        add("assumed_passes", passes_of(event.name));
    }
    return text + "}},\n";
}

std::string rows_of(const CoreTimeline& timeline, int process) {
    std::string text;
    int place = 0;
    for (const Pipe pipe : order_of_rows) {
        const auto& events = timeline.events();
        ++place;
        if (std::any_of(events.begin(), events.end(),
                        [&](const TimelineEvent& event) { return event.pipe == pipe; })) {
            const int thread = thread_of(pipe, process);
            text += metadata("thread_name", process, thread, named(name_of(pipe)));
            text += metadata("thread_sort_index", process, thread, sorted(place));
        }
    }
    return text;
}

std::string name_of_core(const Core& core) {
    std::string text = "block " + std::to_string(core.block) + ", ";
    text += core.is_cube() ? "cube core" : "vector core";
    return core.is_cube() || core.sub_blocks == 1 ? text
                                                  : text + " " + std::to_string(core.sub_block);
}

}  // namespace

bool take_event() {
    if (events_taken.load(std::memory_order_relaxed) >= options().kernel_trace_events) {
        return false;
    }
    return events_taken.fetch_add(1, std::memory_order_relaxed) < options().kernel_trace_events;
}

std::unique_ptr<KernelTrace> KernelTrace::begin(const char* kernel, std::uint32_t blocks,
                                                bool auto_sync) {
    if (options().kernel_trace.empty() || is_refused) {
        return nullptr;
    }
    return std::unique_ptr<KernelTrace>(new KernelTrace(kernel, blocks, auto_sync));
}

KernelTrace::KernelTrace(const char* kernel, std::uint32_t blocks, bool auto_sync)
    : kernel_(kernel), blocks_(blocks), auto_sync_(auto_sync), number_(++launches) {}

CoreTimeline* KernelTrace::add(const Core& core) {
    parts_.push_back({name_of_core(core), CoreTimeline(auto_sync_)});
    return &parts_.back().timeline;
}

/// What the launch was, in cycles as the events have them.
std::string KernelTrace::summary(int process, std::uint64_t cycles) const {
    std::uint64_t events = 0;
    std::uint64_t dropped = 0;
    for (const Part& part : parts_) {
        events += part.timeline.events().size();
        dropped += part.timeline.dropped();
    }
    return metadata("launch", process, 0,
                    R"("emulated":true,"kernel":")" + json_escaped(kernel_) + R"(","launch":)" +
                        std::to_string(number_) + ",\"blocks\":" + std::to_string(blocks_) +
                        ",\"cores\":" + std::to_string(parts_.size()) + ",\"cycles\":" +
                        std::to_string(cycles) + ",\"events\":" + std::to_string(events) +
                        ",\"dropped_events\":" + std::to_string(dropped));
}

/// Write what a core did; false if the file cannot be written.
bool KernelTrace::write_part(Part& part, std::string text) const {
    ascend_emulator::Services& services = ascend_emulator::services();
    Written& file = written();
    const int process = ++file.processes;
    const std::uint64_t dropped = part.timeline.dropped();
    std::string name = "kernel " + kernel_ + " #" + std::to_string(number_) + ", " + part.core +
                       " (modelled, not measured";
    name += dropped == 0 ? ")" : "; " + std::to_string(dropped) + " events left out)";
    text += metadata("process_name", process, 0, named(name));
    text += metadata("process_sort_index", process, 0, sorted(process));
    text += rows_of(part.timeline, process);
    for (const TimelineEvent& event : part.timeline.events()) {
        text += line_of(event, process, file.cycles);
        if (text.size() > most_text) {
            if (!services.write_kernel_trace(text)) {
                return false;
            }
            text.clear();
        }
    }
    if (dropped != 0) {
        report_limit();
    }
    return services.write_kernel_trace(text);
}

void KernelTrace::write() {
    std::uint64_t cycles = 0;
    for (Part& part : parts_) {
        cycles = std::max(cycles, part.timeline.time(Pipe::all));
    }
    Written& file = written();
    const std::lock_guard<std::mutex> lock(file.mutex);
    std::string text = file.has_header ? "" : header();
    text += summary(file.processes + 1, cycles);
    for (Part& part : parts_) {
        if (!write_part(part, text)) {
            is_refused = true;
            return;
        }
        text.clear();
        file.has_header = true;
    }
    file.cycles += cycles;
}

}  // namespace aicore
