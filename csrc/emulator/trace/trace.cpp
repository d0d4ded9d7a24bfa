#include "emulator/trace/trace.h"

#include <unistd.h>

#include <atomic>
#include <cstdio>
#include <mutex>
#include <set>
#include <utility>

#include "emulator/interface/json.h"
#include "emulator/options/options.h"
#include "emulator/trace/chrome_file.h"

namespace ascend_emulator {
namespace {

using Clock = std::chrono::steady_clock;

double microseconds(Clock::duration duration) {
    return std::chrono::duration<double, std::micro>(duration).count();
}

std::string metadata(const char* kind, int thread, const std::string& arguments) {
    return std::string(R"({"name":")") + kind + R"(","ph":"M","pid":)" + std::to_string(getpid()) +
           ",\"tid\":" + std::to_string(thread) + R"(,"args":{)" + arguments + "}}";
}

class ChromeTrace {
  public:
    explicit ChromeTrace(const std::string& name) : file_(name) {
        file_.write(metadata("clock_sync", 0, "") + ",\n");
    }

    void add(const char* name, int device, int stream, Clock::time_point begin,
             Clock::time_point end, const std::string& arguments) {
        const std::lock_guard<std::mutex> lock(mutex_);
        const int thread = device * 10000 + stream;
        const std::string place = std::to_string(device) + " stream " + std::to_string(stream);
        std::string text;
        if (named_.insert({device, stream}).second) {
            text =
                metadata("thread_name", thread, R"("name":"emulated npu:)" + place + "\"") + ",\n";
        }
        char times[80];
        std::snprintf(times, sizeof times, R"("ts":%.3f,"dur":%.3f)",
                      microseconds(begin.time_since_epoch()), microseconds(end - begin));
        text += R"({"name":")" + json_escaped(name) + R"(","ph":"X","pid":)" +
                std::to_string(getpid()) + ",\"tid\":" + std::to_string(thread) + "," + times +
                R"(,"args":{"device":)" + std::to_string(device) +
                ",\"stream\":" + std::to_string(stream) + (arguments.empty() ? "" : ",") +
                arguments + "}},\n";
        file_.write(text);
    }

    void end() {
        const std::lock_guard<std::mutex> lock(mutex_);
        file_.end(metadata("process_name", 0, R"("name":"emulated NPU, computed on the CPU")"));
    }

  private:
    ChromeFile file_;
    std::mutex mutex_;
    std::set<std::pair<int, int>> named_;
};

/// Created with the first task of the process; null before.
std::atomic<ChromeTrace*> chrome_trace{nullptr};

}  // namespace

void trace_text(const std::string& line) {
    if (options().trace) {
        std::fprintf(stderr, "[emulated NPU %d] %s\n", getpid(), line.c_str());
    }
}

bool tracing_tasks() { return options().trace || !options().trace_file.empty(); }

void trace_task(const char* name, int device, int stream, Clock::time_point begin,
                Clock::time_point end, const std::string& arguments) {
    trace_text(std::string(name) + " on stream " + std::to_string(stream) + " of device " +
               std::to_string(device) + " {" + arguments + "}");
    if (!options().trace_file.empty()) {
        static auto* const chrome = new ChromeTrace(options().trace_file);
        chrome_trace = chrome;
        chrome->add(name, device, stream, begin, end, arguments);
    }
}

void end_trace() {
    if (ChromeTrace* chrome = chrome_trace) {
        chrome->end();
    }
}

}  // namespace ascend_emulator
