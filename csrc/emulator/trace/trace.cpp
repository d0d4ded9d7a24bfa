#include "emulator/trace/trace.h"

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <cstdio>
#include <mutex>
#include <set>

#include "emulator/options/options.h"

namespace ascend_emulator {
namespace {

using Clock = std::chrono::steady_clock;

double microseconds(Clock::duration duration) {
    return std::chrono::duration<double, std::micro>(duration).count();
}

std::string file_name() {
    std::string name = options().trace_file;
    const std::size_t found = name.find("%p");
    return found == std::string::npos ? name : name.replace(found, 2, std::to_string(getpid()));
}

/// Open and lock the file; null, with a message on standard error, if it cannot be written.
std::FILE* open_alone(const std::string& path) {
    const int descriptor = open(path.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0666);
    if (descriptor < 0) {
        std::fprintf(stderr, "[emulated NPU] trace file %s cannot be written: %m\n", path.c_str());
        return nullptr;
    }
    if (flock(descriptor, LOCK_EX | LOCK_NB) != 0 && errno == EWOULDBLOCK) {
        std::fprintf(stderr,
                     "[emulated NPU] process %d is not traced: another process writes %s. Use %%p "
                     "in the name for one file per process.\n",
                     getpid(), path.c_str());
        close(descriptor);
        return nullptr;
    }
    return ftruncate(descriptor, 0) == 0 ? fdopen(descriptor, "w") : nullptr;
}

/// Writes the "JSON array format", in which the closing bracket may be missing, so that the trace
/// of a killed process can be read.
class ChromeTrace {
  public:
    explicit ChromeTrace(const std::string& path) : file_(open_alone(path)) {
        if (file_ == nullptr) {
            return;
        }
        std::fputs("[\n", file_);
        std::fprintf(file_,
                     R"({"name":"clock_sync","ph":"M","pid":%d,"args":{}},)"
                     "\n",
                     getpid());
    }

    void add(const char* name, int device, int stream, Clock::time_point begin,
             Clock::time_point end, const std::string& arguments) {
        const std::lock_guard<std::mutex> lock(mutex_);
        if (file_ == nullptr) {
            return;
        }
        if (named_.insert({device, stream}).second) {
            std::fprintf(file_,
                         R"({"name":"thread_name","ph":"M","pid":%d,"tid":%d,)"
                         R"("args":{"name":"emulated npu:%d stream %d"}},)"
                         "\n",
                         getpid(), track(device, stream), device, stream);
        }
        std::fprintf(file_,
                     R"({"name":"%s","ph":"X","pid":%d,"tid":%d,"ts":%.3f,"dur":%.3f,)"
                     R"("args":{"device":%d,"stream":%d%s%s}},)"
                     "\n",
                     json_escaped(name).c_str(), getpid(), track(device, stream),
                     microseconds(begin.time_since_epoch()), microseconds(end - begin), device,
                     stream, arguments.empty() ? "" : ",", arguments.c_str());
        std::fflush(file_);
    }

    void end() {
        const std::lock_guard<std::mutex> lock(mutex_);
        if (file_ != nullptr) {
            std::fprintf(file_,
                         R"({"name":"process_name","ph":"M","pid":%d,)"
                         R"("args":{"name":"emulated NPU, computed on the CPU"}}])"
                         "\n",
                         getpid());
            std::fclose(file_);
            file_ = nullptr;
        }
    }

  private:
    static int track(int device, int stream) { return device * 10000 + stream; }

    std::FILE* file_;
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
        static auto* const chrome = new ChromeTrace(file_name());
        chrome_trace = chrome;
        chrome->add(name, device, stream, begin, end, arguments);
    }
}

void end_trace() {
    if (ChromeTrace* chrome = chrome_trace) {
        chrome->end();
    }
}

std::string json_escaped(const std::string& text) {
    std::string escaped;
    for (const char c : text) {
        if (c == '"' || c == '\\') {
            escaped += '\\';
            escaped += c;
        } else if (static_cast<unsigned char>(c) < 0x20) {
            escaped += ' ';
        } else {
            escaped += c;
        }
    }
    return escaped;
}

}  // namespace ascend_emulator
