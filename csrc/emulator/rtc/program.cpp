#include "emulator/rtc/program.h"

#include <dlfcn.h>
#include <fcntl.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <system_error>

#include "acl/acl_rt_compile.h"

extern char** environ;

namespace ascend_emulator {
namespace {

namespace fs = std::filesystem;

std::string content(const fs::path& file) {
    std::ifstream stream(file, std::ios::binary);
    return {std::istreambuf_iterator<char>(stream), {}};
}

/// False if the file cannot be written.
bool write(const fs::path& file, const std::string& text) {
    std::error_code error;
    fs::create_directories(file.parent_path(), error);
    std::ofstream stream(file, std::ios::binary);
    stream << text;
    stream.close();
    return !stream.fail();
}

/// The folder `bin` of the CANN that this library belongs to.
fs::path programs() {
    Dl_info info{};
    dladdr(reinterpret_cast<void*>(&programs), &info);
    return fs::path(info.dli_fname).parent_path().parent_path() / "bin";
}

/// Run a program in `folder` with its output in a file. The exit code, or -1.
int run(const std::vector<std::string>& command, const fs::path& output) {
    std::vector<char*> arguments;
    arguments.reserve(command.size() + 1);
    for (const std::string& argument : command) {
        arguments.push_back(const_cast<char*>(argument.c_str()));
    }
    arguments.push_back(nullptr);
    posix_spawn_file_actions_t actions;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_addopen(&actions, STDOUT_FILENO, output.c_str(),
                                     O_WRONLY | O_CREAT | O_APPEND, 0600);
    posix_spawn_file_actions_adddup2(&actions, STDOUT_FILENO, STDERR_FILENO);
    pid_t process = 0;
    const int failed =
        posix_spawn(&process, arguments[0], &actions, nullptr, arguments.data(), environ);
    posix_spawn_file_actions_destroy(&actions);
    int status = -1;
    while (failed == 0 && waitpid(process, &status, 0) < 0 && errno == EINTR) {
    }
    return failed == 0 && WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

/// A new folder that is removed with what is in it.
class TemporaryFolder {
  public:
    TemporaryFolder() {
        std::error_code error;
        std::string pattern = (fs::temp_directory_path(error) / "aclrtc-XXXXXX").string();
        path_ = mkdtemp(pattern.data()) == nullptr ? fs::path() : fs::path(pattern);
    }
    ~TemporaryFolder() {
        std::error_code error;
        if (!path_.empty()) {
            fs::remove_all(path_, error);
        }
    }
    TemporaryFolder(const TemporaryFolder&) = delete;
    TemporaryFolder& operator=(const TemporaryFolder&) = delete;
    const fs::path& path() const { return path_; }

  private:
    fs::path path_;
};

/// The program's name as that of a file, so that the compiler's messages begin with it.
std::string file_name(const std::string& name) {
    const std::string last = fs::path(name).filename().string();
    return last.empty() ? "default_program" : last;
}

}  // namespace

int RtcProgram::compile(const std::vector<std::string>& options) {
    const TemporaryFolder folder;
    if (folder.path().empty()) {
        return ACL_ERROR_RTC_FAILURE;
    }
    state_ = State::failed;
    binary_.clear();
    log_.clear();
    const int code = compile_in(folder.path().string(), options);
    log_ = content(folder.path() / "log");
    if (code == 0) {
        binary_ = content(folder.path() / "kernels.o");
        state_ = State::compiled;
    }
    return code;
}

int RtcProgram::compile_in(const std::string& folder, const std::vector<std::string>& options) {
    const fs::path place = folder;
    const fs::path source = place / "source" / file_name(name_);
    if (!write(source, source_)) {
        return ACL_ERROR_RTC_FAILURE;
    }
    for (const auto& [name, text] : headers_) {
        const fs::path header = fs::path(name).lexically_normal();
        if (header.is_absolute() || header.begin() == header.end() || *header.begin() == "..") {
            return ACL_ERROR_RTC_INVALID_INPUT;  // outside of the folder
        }
        if (!write(place / "source" / header, text)) {
            return ACL_ERROR_RTC_FAILURE;
        }
    }
    const std::string object = place / "kernels.rel.o";
    std::vector<std::string> command{programs() / "bisheng",
                                     "-x",
                                     "asc",
                                     "-std=c++17",
                                     "--cce-aicore-only",
                                     "-I" + (place / "source").string()};
    command.insert(command.end(), options.begin(), options.end());
    for (const std::string& name : names_) {
        command.push_back("--aicore-name-expression=" + name);
    }
    command.insert(command.end(), {source, "-c", "-o", object});
    if (run(command, place / "log") != 0) {
        return ACL_ERROR_RTC_COMPILATION;
    }
    const int linked = run({programs() / "ld.lld", "-m", "aicorelinux", "-Ttext", "0", object, "-o",
                            place / "kernels.o"},
                           place / "log");
    return linked == 0 ? 0 : ACL_ERROR_RTC_LINKING;
}

const std::string* RtcProgram::lowered(const std::string& expression) const {
    const auto found = std::find(names_.begin(), names_.end(), expression);
    return found == names_.end() ? nullptr : &*found;
}

}  // namespace ascend_emulator
