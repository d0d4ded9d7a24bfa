#include "emulator/trace/profile.h"

#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <cstdio>
#include <ctime>
#include <fstream>
#include <mutex>
#include <set>
#include <vector>

#include "emulator/interface/json.h"

namespace ascend_emulator {
namespace {

struct Span {
    std::string name;
    int device;
    int stream;
    QueueingCall call;
    std::int64_t begin;
    std::int64_t end;
};

struct Profile {
    std::mutex mutex;
    std::string parent;
    std::string folder;       // of the profile that has begun, or ""
    std::int64_t offset = 0;  // from CLOCK_MONOTONIC_RAW to the time of day
    std::int64_t began = 0;
    std::set<int> devices;
    std::vector<Span> spans;
};

Profile& profile() {
    static auto* const only = new Profile;
    return *only;
}

std::atomic<bool> recording{false};

std::int64_t nanoseconds(clockid_t clock) {
    timespec now{};
    clock_gettime(clock, &now);
    return std::int64_t{now.tv_sec} * 1'000'000'000 + now.tv_nsec;
}

std::string microseconds(std::int64_t ns) {
    char text[40];
    std::snprintf(text, sizeof text, "%lld.%03lld", static_cast<long long>(ns / 1000),
                  static_cast<long long>(ns % 1000));
    return text;
}

/// The name of CANN's folders: PROF_, a number, the time, and letters.
std::string folder_name() {
    static std::atomic<int> count{0};
    const std::time_t now = std::time(nullptr);
    std::tm parts{};
    localtime_r(&now, &parts);
    char text[80];
    std::snprintf(text, sizeof text, "PROF_%06d_%04d%02d%02d%02d%02d%02d000_EMULATED%d", ++count,
                  parts.tm_year + 1900, parts.tm_mon + 1, parts.tm_mday, parts.tm_hour,
                  parts.tm_min, parts.tm_sec, getpid());
    return text;
}

/// CANN's identifier of a process in the timeline, apart from those of torch_npu.
int process_of(int device) { return 10'000'000 + device; }
constexpr int host_process = 9'999'999;

std::string metadata(const char* kind, int process, int thread, const std::string& name) {
    return std::string(R"({"name":")") + kind + R"(","ph":"M","pid":)" + std::to_string(process) +
           R"(,"tid":)" + std::to_string(thread) + R"(,"args":{"name":")" + name + "\"}}";
}

/// The names of the rows that the spans appear in.
std::vector<std::string> rows_of(const std::vector<Span>& spans) {
    std::set<int> devices;
    std::set<std::pair<int, int>> streams;
    for (const Span& span : spans) {
        devices.insert(span.device);
        streams.insert({span.device, span.stream});
    }
    std::vector<std::string> rows;
    rows.push_back(metadata("process_name", host_process, 0, "CANN (emulated)"));
    for (const int device : devices) {
        rows.push_back(metadata(
            "process_name", process_of(device), 0,
            "emulated Ascend Hardware, computed on the CPU (NPU " + std::to_string(device) + ")"));
    }
    for (const auto& [device, stream] : streams) {
        rows.push_back(metadata("thread_name", process_of(device), stream,
                                "Stream " + std::to_string(stream) + " (emulated)"));
    }
    return rows;
}

std::string event(const std::string& name, int process, int thread, const std::string& at,
                  const std::string& rest) {
    return R"({"name":")" + json_escaped(name) + R"(","pid":)" + std::to_string(process) +
           R"(,"tid":)" + std::to_string(thread) + R"(,"ts":")" + at + "\"," + rest + "}";
}

/// A span and the flow that leads to it from the call that queued it.
std::vector<std::string> events_of(const Span& span, std::size_t number, std::int64_t offset) {
    const int process = process_of(span.device);
    const std::string begin = microseconds(span.begin + offset);
    const std::string queued = microseconds(span.call.time + offset);
    const std::string identifier = "\"" + std::to_string(number) + "\"";
    const std::string flow = R"("cat":"HostToDevice","id":)" + identifier;
    return {event(span.name, process, span.stream, begin,
                  R"("ph":"X","dur":)" + microseconds(span.end - span.begin) +
                      R"(,"args":{"Task Type":"EMULATED_ON_CPU","Stream Id":)" +
                      std::to_string(span.stream) + "}"),
            event("AscendCL@" + span.name, host_process, span.call.thread, queued,
                  R"("ph":"X","dur":0.001,"args":{"emulated":true})"),
            event("HostToDevice" + std::to_string(number), host_process, span.call.thread, queued,
                  R"("ph":"s",)" + flow),
            event("HostToDevice" + std::to_string(number), process, span.stream, begin,
                  R"("ph":"f","bp":"e",)" + flow)};
}

bool write_timeline(const std::string& path, const Profile& found) {
    std::ofstream file(path);
    const char* separator = "[\n";
    for (const std::string& row : rows_of(found.spans)) {
        file << separator << row;
        separator = ",\n";
    }
    for (std::size_t i = 0; i < found.spans.size(); ++i) {
        for (const std::string& one : events_of(found.spans[i], i, found.offset)) {
            file << separator << one;
        }
    }
    file << "]\n";
    return file.good();
}

bool write_summary(const std::string& path, const Profile& found) {
    std::ofstream file(path);
    file << "Device_id,Model ID,Task ID,Stream ID,Op Name,OP Type,OP State,Task Type,"
            "Task Start Time(us),Task Duration(us),Task Wait Time(us),Block Num\n";
    for (std::size_t i = 0; i < found.spans.size(); ++i) {
        const Span& span = found.spans[i];
        file << span.device << ",N/A," << i << ',' << span.stream << ',' << span.name << ','
             << span.name << ",emulated,EMULATED_ON_CPU," << microseconds(span.begin + found.offset)
             << "\t," << microseconds(span.end - span.begin) << ",0,0\n";
    }
    return file.good();
}

/// What the time of day was at a time of CLOCK_MONOTONIC_RAW, as CANN notes it.
bool write_start(const std::string& path, const Profile& found) {
    std::ofstream file(path);
    file << R"({"collectionTimeBegin": ")" << (found.began + found.offset) / 1000
         << R"(", "clockMonotonicRaw": ")" << found.began << "\"}\n";
    return file.good();
}

bool make_folder(const std::string& path) {
    return mkdir(path.c_str(), 0750) == 0 || errno == EEXIST;
}

bool write_profile(const Profile& found) {
    const std::string output = found.folder + "/emulated";  // msprof exports what is in it
    bool made = make_folder(found.parent) && make_folder(found.folder) && make_folder(output) &&
                make_folder(found.folder + "/host");
    for (const Span& span : found.spans) {
        made = made && make_folder(found.folder + "/device_" + std::to_string(span.device));
    }
    const std::string number = std::to_string((found.began + found.offset) / 1'000'000);
    return made && write_start(found.folder + "/host/start_info", found) &&
           write_timeline(output + "/msprof_" + number + ".json", found) &&
           write_summary(output + "/op_summary_" + number + ".csv", found);
}

}  // namespace

bool is_profiling() { return recording; }

std::int64_t profile_time() { return nanoseconds(CLOCK_MONOTONIC_RAW); }

QueueingCall queueing_call() { return {profile_time(), static_cast<int>(syscall(SYS_gettid))}; }

void profile_task(const char* name, int device, int stream, const QueueingCall& call,
                  std::int64_t begin, std::int64_t end) {
    Profile& found = profile();
    const std::lock_guard<std::mutex> lock(found.mutex);
    if (!found.folder.empty() && found.devices.count(device) != 0) {
        found.spans.push_back({name, device, stream, call, begin, end});
    }
}

void set_profile_folder(const std::string& folder) {
    Profile& found = profile();
    const std::lock_guard<std::mutex> lock(found.mutex);
    found.parent = folder;
}

void start_profile(const std::vector<int>& devices) {
    Profile& found = profile();
    const std::lock_guard<std::mutex> lock(found.mutex);
    if (found.folder.empty()) {
        found.folder = found.parent + "/" + folder_name();
        found.began = profile_time();
        found.offset = nanoseconds(CLOCK_REALTIME) - found.began;
        found.spans.clear();
    }
    found.devices = {devices.begin(), devices.end()};
    recording = true;
}

bool stop_profile() {
    recording = false;
    Profile& found = profile();
    const std::lock_guard<std::mutex> lock(found.mutex);
    return found.folder.empty() || write_profile(found);
}

void end_profile() {
    recording = false;
    Profile& found = profile();
    const std::lock_guard<std::mutex> lock(found.mutex);
    found.folder.clear();
    found.spans.clear();
}

}  // namespace ascend_emulator
