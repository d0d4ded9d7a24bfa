#include "emulator/hccl/objects/queue.h"

using namespace ascend_emulator;

namespace {

class Collective : public Task {
  public:
    Collective(const char* name, Communicator& group, Work work, std::vector<Access> accesses)
        : name_(name), group_(group), work_(std::move(work)), accesses_(std::move(accesses)) {}
    int run() override { return work_(group_); }
    const char* name() const override { return name_; }
    std::vector<Access> accesses() const override { return accesses_; }
    std::string arguments() const override {
        return "\"rank\":" + std::to_string(group_.rank()) +
               ",\"ranks\":" + std::to_string(group_.size());
    }

  private:
    const char* name_;
    Communicator& group_;
    Work work_;
    std::vector<Access> accesses_;
};

}  // namespace

HcclResult ascend_emulator::check_rank(HcclComm handle, const char* name, std::uint32_t rank) {
    const Communicator* group = group_of(handle);
    if (group == nullptr) {
        return HCCL_E_PARA;
    }
    if (rank < group->size()) {
        return HCCL_SUCCESS;
    }
    return static_cast<HcclResult>(services().fail(
        HCCL_E_PARA, std::string(name) + " must be 0 to " + std::to_string(group->size() - 1) +
                         ", got " + std::to_string(rank)));
}

HcclResult ascend_emulator::queue_entered(const char* name, HcclComm handle, void* stream,
                                          std::vector<Access> accesses, Work work) {
    Communicator* group = group_of(handle);
    if (group == nullptr) {
        return HCCL_E_PARA;
    }
    for (const Access& access : accesses) {
        if (access.bytes == 0) {
            continue;
        }
        const std::string problem =
            services().why_out_of_reach(access.address, access.bytes, stream);
        if (!problem.empty()) {
            return static_cast<HcclResult>(services().fail(HCCL_E_PARA, problem));
        }
    }
    auto task = std::make_shared<Collective>(name, *group, std::move(work), std::move(accesses));
    return services().enqueue(stream, std::move(task)) == 0 ? HCCL_SUCCESS : HCCL_E_RUNTIME;
}

HcclResult ascend_emulator::queue(const char* name, HcclComm handle, void* stream,
                                  std::vector<Access> accesses, Work work) {
    return entry([&] {
        if (const int refused = services().enter(name)) {
            return static_cast<HcclResult>(refused);
        }
        return queue_entered(name, handle, stream, std::move(accesses), std::move(work));
    });
}
