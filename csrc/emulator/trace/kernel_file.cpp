#include "emulator/trace/kernel_file.h"

#include <mutex>

#include "emulator/options/options.h"
#include "emulator/trace/chrome_file.h"

namespace ascend_emulator {
namespace {

struct KernelFile {
    std::mutex mutex;
    ChromeFile* file = nullptr;  // created with the first kernel of the process
};

KernelFile& kernel_file() {
    static auto* const only = new KernelFile;
    return *only;
}

}  // namespace

bool write_kernel_trace(const std::string& events) {
    KernelFile& found = kernel_file();
    const std::lock_guard<std::mutex> lock(found.mutex);
    if (found.file == nullptr) {
        found.file = new ChromeFile(options().kernel_trace);
    }
    found.file->write(events);
    return found.file->is_open();
}

void end_kernel_trace() {
    KernelFile& found = kernel_file();
    const std::lock_guard<std::mutex> lock(found.mutex);
    if (found.file != nullptr) {
        found.file->end(R"({"name":"end","ph":"M","pid":0,"args":{"emulated":true}})");
    }
}

std::string why_no_kernel_trace() {
    const Options& given = options();
    if (given.kernel_trace.empty()) {
        return {};
    }
    const std::string variable = "environment variable ASCEND_EMULATOR_KERNEL_TRACE must be ";
    if (given.kernel_trace == given.trace_file) {
        return variable + "another file than that of ASCEND_EMULATOR_TRACE_FILE, got '" +
               given.kernel_trace + "'";
    }
    const std::string problem = why_no_trace_file(given.kernel_trace);
    return problem.empty() ? ""
                           : variable + "a file that can be written, got '" + given.kernel_trace +
                                 "' (" + problem + ")";
}

}  // namespace ascend_emulator
