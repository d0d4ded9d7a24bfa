#include "emulator/trace/chrome_file.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

namespace ascend_emulator {
namespace {

std::string with_process(std::string name) {
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
    if (ftruncate(descriptor, 0) != 0) {
        std::fprintf(stderr, "[emulated NPU] trace file %s cannot be emptied: %m\n", path.c_str());
        close(descriptor);
        return nullptr;
    }
    return fdopen(descriptor, "w");
}

}  // namespace

ChromeFile::ChromeFile(const std::string& name)
    : path_(with_process(name)), file_(open_alone(path_)) {
    write("[\n");
}

void ChromeFile::write(const std::string& events) {
    if (file_ == nullptr) {
        return;
    }
    const bool fits = std::fwrite(events.data(), 1, events.size(), file_) == events.size();
    if (std::fflush(file_) != 0 || !fits) {
        std::fprintf(stderr, "[emulated NPU] trace file %s ends early: %m\n", path_.c_str());
        std::fclose(file_);
        file_ = nullptr;
    }
}

void ChromeFile::end(const std::string& event) {
    write(event + "]\n");
    if (file_ != nullptr) {
        std::fclose(file_);
        file_ = nullptr;
    }
}

std::string why_no_trace_file(const std::string& name) {
    const std::string path = with_process(name);
    const std::size_t slash = path.rfind('/');
    const std::string folder = slash == std::string::npos ? "." : path.substr(0, slash + 1);
    struct stat found{};
    if (stat(path.c_str(), &found) == 0) {
        if (S_ISDIR(found.st_mode)) {
            return path + " is a folder";
        }
        return access(path.c_str(), W_OK) == 0 ? "" : path + ": " + std::strerror(errno);
    }
    return access(folder.c_str(), W_OK | X_OK) == 0 ? "" : folder + ": " + std::strerror(errno);
}

}  // namespace ascend_emulator
