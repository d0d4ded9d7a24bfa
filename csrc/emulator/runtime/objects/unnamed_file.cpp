#include "emulator/runtime/objects/unnamed_file.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cstring>
#include <string>

namespace ascend_emulator {

int create_unnamed_file(const char* name, std::size_t bytes) {
    const int file = memfd_create(name, MFD_CLOEXEC);
    if (file >= 0 && ftruncate(file, static_cast<off_t>(bytes)) != 0) {
        close(file);
        return -1;
    }
    return file;
}

int open_unnamed_file(int process, int descriptor, const char* name) {
    const std::string path =
        "/proc/" + std::to_string(process) + "/fd/" + std::to_string(descriptor);
    char found[256] = {};
    if (readlink(path.c_str(), found, sizeof found - 1) < 0 ||
        std::strstr(found, name) == nullptr) {
        return -1;
    }
    return open(path.c_str(), O_RDWR | O_CLOEXEC);
}

}  // namespace ascend_emulator
