#include "emulator/hccl/objects/named_collectives.h"

namespace ascend_emulator {
namespace {

class NamedCollectives : public Collectives {
  public:
    Group find(const std::string& name) override {
        const Communicator* group = Communicator::named(name);
        return group == nullptr ? Group() : Group{group->size(), group->rank()};
    }
    int exchange(const std::string& name, const Blocks& outgoing, const Blocks& incoming) override {
        Communicator* group = Communicator::named(name);
        if (group == nullptr) {
            return services().fail(collective_failed, "the group " + name + " was destroyed");
        }
        return ascend_emulator::exchange(*group, outgoing, incoming);
    }
};

}  // namespace

Collectives& named_collectives() {
    static auto* const only = new NamedCollectives;
    return *only;
}

}  // namespace ascend_emulator
