// Binaries of kernels: shared libraries whose kernels name themselves while they are loaded.
#include <dlfcn.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <deque>
#include <filesystem>
#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <system_error>
#include <utility>
#include <vector>

#include "ascendc/kernel_launch.h"
#include "emulator/interface/export.h"
#include "emulator/interface/kernel_binaries.h"
#include "emulator/interface/services.h"

namespace aicore {
namespace {

struct Entry {
    MakeLaunch make;
    std::vector<KernelParameter> parameters;
};

/// What a kernel is launched by.
struct Function {
    std::string name;
    Entry entry;
    std::uint64_t tiling_key;
};

struct Binary {
    void* library = nullptr;
    std::map<std::string, Entry> kernels;
    std::deque<Function> functions;
};

thread_local Binary* loading = nullptr;

/// A number at the end of `name_7`, or -1; `name` gets what is before it.
std::int64_t split_key(std::string& name) {
    const std::size_t underscore = name.rfind('_');
    if (underscore == std::string::npos || underscore + 1 == name.size() ||
        name.find_first_not_of("0123456789", underscore + 1) != std::string::npos) {
        return -1;
    }
    const std::int64_t key = std::stoll(name.substr(underscore + 1));
    name.resize(underscore);
    return key;
}

/// A copy of the file: a library that is loaded twice must be two.
std::string copied(const char* path, std::string& problem) {
    char name[] = "/tmp/ascend-kernel-XXXXXX";
    const int file = mkstemp(name);
    std::error_code error;
    if (file < 0) {
        error.assign(errno, std::generic_category());
    } else {
        close(file);
        std::filesystem::copy_file(path, name, std::filesystem::copy_options::overwrite_existing,
                                   error);
    }
    if (error) {
        problem = std::string(path) + " cannot be copied to " + name + ": " + error.message();
    }
    return name;
}

class Binaries final : public ascend_emulator::KernelBinaries {
  public:
    void* load(const char* path, std::string& problem) override {
        const std::string copy = copied(path, problem);
        auto binary = std::make_unique<Binary>();
        if (problem.empty()) {
            loading = binary.get();
            binary->library = dlopen(copy.c_str(), RTLD_NOW | RTLD_LOCAL);
            loading = nullptr;
            if (binary->library == nullptr) {
                problem =
                    std::string(path) +
                    " is not a binary that bisheng of the emulated CANN has linked: " + dlerror();
            } else if (binary->kernels.empty()) {
                problem = std::string(path) + " has no kernel; compile it with --cce-aicore-only";
            }
        }
        std::remove(copy.c_str());
        return problem.empty() ? binary.release() : nullptr;
    }
    void unload(void* handle) override {
        // The library stays, since launches that are queued run its code.
        delete static_cast<Binary*>(handle);
    }
    void* find(void* handle, const std::string& name) override {
        auto& binary = *static_cast<Binary*>(handle);
        std::string kernel = name;
        std::uint64_t key = 0;
        for (const char* suffix : {"_mix_aic", "_mix_aiv"}) {
            const std::size_t length = std::char_traits<char>::length(suffix);
            if (kernel.size() > length &&
                kernel.compare(kernel.size() - length, length, suffix) == 0) {
                kernel.resize(kernel.size() - length);
            }
        }
        if (binary.kernels.count(kernel) == 0) {
            const std::int64_t found = split_key(kernel);
            key = found < 0 ? 0 : static_cast<std::uint64_t>(found);
        }
        const auto entry = binary.kernels.find(kernel);
        return entry == binary.kernels.end() ? nullptr : function(binary, *entry, key);
    }
    void* with_tiling_key(void* handle, std::uint64_t key) override {
        auto& binary = *static_cast<Binary*>(handle);
        return binary.kernels.size() == 1 ? function(binary, *binary.kernels.begin(), key)
                                          : nullptr;
    }
    std::string names(void* handle) override {
        std::string text;
        for (const auto& [name, entry] : static_cast<Binary*>(handle)->kernels) {
            text += (text.empty() ? "" : ", ") + name;
        }
        return text;
    }
    std::vector<ascend_emulator::ParameterPlace> parameters(void* handle) override {
        const auto& parameters = static_cast<const Function*>(handle)->entry.parameters;
        std::vector<ascend_emulator::ParameterPlace> places;
        places.reserve(parameters.size());
        for (const KernelParameter& one : parameters) {
            places.push_back({one.offset, one.bytes});
        }
        return places;
    }
    int launch(void* handle, std::uint32_t blocks, const void* arguments, std::size_t bytes,
               void* stream, std::shared_ptr<void> keeps) override {
        const auto& function = *static_cast<const Function*>(handle);
        std::unique_ptr<KernelLaunch> launch =
            function.entry.make(static_cast<const unsigned char*>(arguments), bytes);
        if (launch == nullptr) {
            return ascend_emulator::services().fail(
                107000, "kernel " + function.name + ": " + std::to_string(bytes) +
                            " bytes are fewer than its arguments take");
        }
        launch->name = keep(function.name);
        launch->blocks = blocks;
        launch->tiling_key = function.tiling_key;
        launch->keeps = std::move(keeps);
        return submit(std::move(launch), stream);
    }

  private:
    static void* function(Binary& binary, const std::pair<const std::string, Entry>& entry,
                          std::uint64_t key) {
        for (Function& known : binary.functions) {
            if (known.name == entry.first && known.tiling_key == key) {
                return &known;
            }
        }
        binary.functions.push_back({entry.first, entry.second, key});
        return &binary.functions.back();
    }
    /// The name for as long as the process runs, since a launch may outlive its binary.
    static const char* keep(const std::string& name) {
        static std::set<std::string> kept;
        static std::mutex mutex;
        const std::lock_guard<std::mutex> lock(mutex);
        return kept.insert(name).first->c_str();
    }
};

}  // namespace

bool add_entry(const char* name, MakeLaunch make, std::vector<KernelParameter> parameters) {
    if (loading != nullptr) {
        loading->kernels[name] = {make, std::move(parameters)};
    }
    return true;
}

}  // namespace aicore

EMULATOR_EXPORT ascend_emulator::KernelBinaries* AscendEmulatorKernelBinaries() {
    static aicore::Binaries binaries;
    return &binaries;
}
