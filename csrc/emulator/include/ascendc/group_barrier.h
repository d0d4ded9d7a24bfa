// GroupBarrier: vector cores that wait until all cores of another group have come as far.
#pragma once

#include "ascendc/synchronization.h"

namespace AscendC {

enum class PipeMode : std::uint8_t { SCALAR_MODE = 0, MTE3_MODE = 1, MAX };

/// Each core of the waiting group goes on when all cores of the arriving group have arrived; the
/// next round of these begins when all have gone on. A device counts in `groupWorkspace`, which
/// must be zeros; the emulated core leaves it as it is.
template <PipeMode pipeMode>
class GroupBarrier {
    static_assert(pipeMode == PipeMode::MTE3_MODE,
                  "GroupBarrier: pipeMode must be PipeMode::MTE3_MODE");

  public:
    GroupBarrier(GM_ADDR groupWorkspace, std::uint32_t arriveSizeIn, std::uint32_t waitSizeIn,
                 aicore::Site site = aicore::Site::here())
        : workspace_(groupWorkspace), arrive_size_(arriveSizeIn), wait_size_(waitSizeIn) {
        if (aicore::core->is_cube()) {
            return;
        }
        const auto blocks = static_cast<std::uint32_t>(GetBlockNum() * GetSubBlockNum());
        require_size("arriveSizeIn", arriveSizeIn, blocks, site);
        require_size("waitSizeIn", waitSizeIn, blocks, site);
        aicore::core->require(reinterpret_cast<std::uintptr_t>(groupWorkspace) % slot == 0,
                              "alignment", "GroupBarrier: groupWorkspace must be a multiple of 512",
                              site);
    }

    void Arrive(std::uint32_t arriveIndex, aicore::Site site = aicore::Site::here()) const {
        if (aicore::core->is_cube()) {
            return;
        }
        require_index("Arrive: arriveIndex must be less than arriveSizeIn", arriveIndex,
                      arrive_size_, site);
        require_zeros(arriveIndex, site);
        for (std::uint32_t waiter = 0; waiter < wait_size_; ++waiter) {
            aicore::core->set_block_flag(static_cast<int>(arriveIndex), static_cast<int>(waiter),
                                         site, workspace_);
        }
    }
    void Wait(std::uint32_t waitIndex, aicore::Site site = aicore::Site::here()) const {
        if (aicore::core->is_cube()) {
            return;
        }
        require_index("Wait: waitIndex must be less than waitSizeIn", waitIndex, wait_size_, site);
        require_zeros(waitIndex, site);
        for (std::uint32_t arrival = 0; arrival < arrive_size_; ++arrival) {
            aicore::core->wait_block_flag(static_cast<int>(arrival), static_cast<int>(waitIndex),
                                          site, workspace_);
        }
    }
    std::uint64_t GetWorkspaceLen() const {
        return std::uint64_t{arrive_size_ > wait_size_ ? arrive_size_ : wait_size_} * slot;
    }

  private:
    static constexpr std::uint32_t slot = 512;  // bytes of the workspace for each core

    static void require_size(const char* name, std::uint32_t size, std::uint32_t blocks,
                             aicore::Site site) {
        if (size == 0 || size > blocks) {
            aicore::core->end("range",
                              std::string("GroupBarrier: ") + name +
                                  " must be 1 to the number of vector cores, " +
                                  std::to_string(blocks) + ", got " + std::to_string(size),
                              site);
        }
    }
    static void require_index(const char* what, std::uint32_t index, std::uint32_t size,
                              aicore::Site site) {
        if (index >= size) {
            aicore::core->end(
                "range",
                std::string(what) + ", " + std::to_string(size) + ", got " + std::to_string(index),
                site);
        }
    }
    /// A device compares the counter of this core with the number of arrivals.
    void require_zeros(std::uint32_t index, aicore::Site site) const {
        const auto* counter = static_cast<const std::uint32_t*>(aicore::core->global(
            {"GroupBarrier", aicore::Pipe::s, site, true}, workspace_ + std::uint64_t{index} * slot,
            sizeof(std::uint32_t), false));
        aicore::core->require(*counter == 0, "unset",
                              "GroupBarrier: groupWorkspace must hold zeros before the launch; a "
                              "device counts in it and hangs otherwise",
                              site);
    }

    GM_ADDR workspace_;
    std::uint32_t arrive_size_;
    std::uint32_t wait_size_;
};

}  // namespace AscendC
