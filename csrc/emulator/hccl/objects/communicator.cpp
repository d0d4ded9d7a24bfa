#include "emulator/hccl/objects/communicator.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstring>
#include <fstream>
#include <mutex>

#include "hccl/hccl_types.h"

namespace ascend_emulator {
namespace {

using Clock = std::chrono::steady_clock;

constexpr const char* root_format = "emulated-%d-%d";

constexpr std::size_t header_bytes = 4096;
static_assert(sizeof(SharedHeader) <= header_bytes);

/// Whether the process is running; a zombie is not.
bool is_running(int pid) {
    std::ifstream file("/proc/" + std::to_string(pid) + "/stat");
    std::string text;
    if (!std::getline(file, text)) {
        return false;
    }
    const std::size_t name_end = text.rfind(')');
    const char state = name_end + 2 < text.size() ? text[name_end + 2] : 'X';
    return state != 'Z' && state != 'X';
}

std::string of_rank(std::uint32_t rank, std::uint32_t size) {
    return "rank " + std::to_string(rank) + " of " + std::to_string(size);
}

RootInfo make_root() { return {getpid(), memfd_create("emulated HCCL group", MFD_CLOEXEC)}; }

std::string name_of(const RootInfo& root) {
    return "emulated-" + std::to_string(root.pid) + "-" + std::to_string(root.descriptor);
}

/// The communicators that this process has joined. Workers outlive main, so it is not destroyed.
struct Joined {
    std::mutex mutex;
    std::vector<Communicator*> groups;
};
Joined& joined() {
    static Joined* const only = new Joined;
    return *only;
}

}  // namespace

Communicator* Communicator::named(const std::string& name) {
    const std::lock_guard lock(joined().mutex);
    for (Communicator* group : joined().groups) {
        if (group->name() == name) {
            return group;
        }
    }
    return nullptr;
}

Communicator* group_of(void* handle) {
    auto* group = static_cast<Communicator*>(handle);
    const std::string problem = why_unusable(group);
    if (!problem.empty()) {
        services().fail(HCCL_E_PARA, problem);
        return nullptr;
    }
    return group;
}

std::string make_root_info() { return name_of(make_root()); }

void Communicator::Destroy::operator()(const Communicator* group) const { destroy_handle(group); }

Communicator::Communicator(std::string name, std::uint32_t size, std::uint32_t rank)
    : name_(std::move(name)), size_(size), rank_(rank) {
    bytes_ = header_bytes + sizeof(Channel) * size_ * size_;
}

Communicator::~Communicator() {
    {
        const std::lock_guard lock(joined().mutex);
        auto& groups = joined().groups;
        groups.erase(std::remove(groups.begin(), groups.end(), this), groups.end());
    }
    if (header_ != nullptr) {
        header_->pids[rank_] = -1;
        munmap(header_, bytes_);
    }
}

bool Communicator::map(int descriptor) {
    if (ftruncate(descriptor, static_cast<off_t>(bytes_)) != 0) {
        return false;
    }
    void* memory = mmap(nullptr, bytes_, PROT_READ | PROT_WRITE, MAP_SHARED, descriptor, 0);
    if (memory == MAP_FAILED) {
        return false;
    }
    header_ = static_cast<SharedHeader*>(memory);
    channels_ = reinterpret_cast<Channel*>(static_cast<char*>(memory) + header_bytes);
    return true;
}

std::string Communicator::wait_for_all() const {
    const auto deadline = Clock::now() + std::chrono::seconds(services().options().hccl_timeout_s);
    while (header_->joined < size_) {
        std::string broken = why_broken();
        if (!broken.empty()) {
            return broken;
        }
        if (Clock::now() > deadline) {
            return std::to_string(header_->joined) + " of " + std::to_string(size_) +
                   " ranks joined within " + std::to_string(services().options().hccl_timeout_s) +
                   " s (ASCEND_EMULATOR_HCCL_TIMEOUT_S)";
        }
        usleep(200);
    }
    return {};
}

Communicator::Owned Communicator::attach(std::string name, std::uint32_t size, std::uint32_t rank,
                                         const RootInfo& root, std::string* problem) {
    const std::string path =
        "/proc/" + std::to_string(root.pid) + "/fd/" + std::to_string(root.descriptor);
    const int file = open(path.c_str(), O_RDWR | O_CLOEXEC);
    Owned group(make_handle<Communicator>(std::move(name), size, rank));
    if (file < 0 || !group->map(file)) {
        *problem = "the group of process " + std::to_string(root.pid) +
                   " cannot be joined: " + std::strerror(errno) +
                   ". All ranks must run on one machine, as one user";
        group = nullptr;
    } else {
        group->header_->pids[rank] = getpid();
        ++group->header_->joined;
    }
    if (file >= 0) {
        close(file);
    }
    return group;
}

Communicator* Communicator::publish(Owned group) {
    services().count_handle(HandleKind::communicator, 1);
    const std::lock_guard lock(joined().mutex);
    joined().groups.push_back(group.get());
    return group.release();
}

Communicator* Communicator::join(std::uint32_t size, std::uint32_t rank,
                                 const std::string& root_info, std::string* problem) {
    RootInfo root;
    if (size == 0 || size > max_ranks || rank >= size ||
        std::sscanf(root_info.c_str(), root_format, &root.pid, &root.descriptor) != 2) {
        *problem = "rank, size and root info must be those of an emulated group of at most " +
                   std::to_string(max_ranks) + ", got " + of_rank(rank, size) + " and '" +
                   root_info + "'";
        return nullptr;
    }
    Owned group = attach(root_info, size, rank, root, problem);
    if (group == nullptr) {
        return nullptr;
    }
    *problem = group->wait_for_all();
    if (!problem->empty()) {
        return nullptr;
    }
    if (root.pid == getpid()) {
        close(root.descriptor);  // all ranks have it mapped
    }
    return publish(std::move(group));
}

std::vector<Communicator*> Communicator::join_all(std::uint32_t size, std::string* problem) {
    const RootInfo root = make_root();
    std::vector<Owned> groups;
    for (std::uint32_t rank = 0; rank < size && problem->empty(); ++rank) {
        // Operators find their communicator by its name.
        const std::string name = name_of(root) + "-rank-" + std::to_string(rank);
        groups.push_back(attach(name, size, rank, root, problem));
    }
    close(root.descriptor);
    std::vector<Communicator*> published;
    for (Owned& group : groups) {
        if (problem->empty()) {
            published.push_back(publish(std::move(group)));
        }
    }
    return published;
}

std::string Communicator::why_broken() const {
    if (const std::uint32_t failed = header_->failed) {
        return of_rank(failed - 1, size_) + " ended or stopped responding";
    }
    for (std::uint32_t peer = 0; peer < size_; ++peer) {
        const int pid = header_->pids[peer];
        if (peer == rank_ || pid == 0) {
            continue;
        }
        if (pid == -1) {
            return of_rank(peer, size_) + " has left the group";
        }
        if (!is_running(pid)) {
            header_->failed = peer + 1;
            return of_rank(peer, size_) + " (process " + std::to_string(pid) + ") has ended";
        }
    }
    return {};
}

}  // namespace ascend_emulator
