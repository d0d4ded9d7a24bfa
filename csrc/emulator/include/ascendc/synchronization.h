// What orders the pipes of a core and the cores of a launch, and who a core is.
#pragma once

#include "ascendc/pipe.h"

namespace AscendC {

template <HardEvent event>
void SetFlag(std::int32_t id, aicore::Site site = aicore::Site::here()) {
    constexpr aicore::PipePair pipes = aicore::pipes_of(event);
    aicore::core->set_flag(pipes.source, pipes.destination, id, site);
}

template <HardEvent event>
void WaitFlag(std::int32_t id, aicore::Site site = aicore::Site::here()) {
    constexpr aicore::PipePair pipes = aicore::pipes_of(event);
    aicore::core->wait_flag(pipes.source, pipes.destination, id, site);
}

/// Flags from one pipe to another.
template <pipe_t source, pipe_t destination>
class TQueSync {
  public:
    void SetFlag(std::uint8_t id, aicore::Site site = aicore::Site::here()) const {
        aicore::core->set_flag(aicore::pipe_of(source), aicore::pipe_of(destination), id, site);
    }
    void WaitFlag(std::uint8_t id, aicore::Site site = aicore::Site::here()) const {
        aicore::core->wait_flag(aicore::pipe_of(source), aicore::pipe_of(destination), id, site);
    }
};

template <pipe_t pipe>
void PipeBarrier() {
    static_assert(pipe != PIPE_S, "PipeBarrier<PIPE_S> does not exist: scalar code runs in order");
    aicore::core->barrier(aicore::pipe_of(pipe));
}

template <MemDsbT mode>
void DataSyncBarrier() {}

template <bool isAIVOnly = true>
void SyncAll(aicore::Site site = aicore::Site::here()) {
    aicore::core->sync_all(isAIVOnly, site);
}
template <bool isAIVOnly = true>
void SyncAll(const GlobalTensor<std::int32_t>& /*workspace*/,
             const LocalTensor<std::int32_t>& /*local*/, std::int32_t /*usedCores*/ = 0,
             aicore::Site site = aicore::Site::here()) {
    aicore::core->sync_all(isAIVOnly, site);
}

template <std::uint8_t mode, pipe_t pipe>
void CrossCoreSetFlag(std::uint16_t id, aicore::Site site = aicore::Site::here()) {
    aicore::core->set_cross_core_flag(mode, aicore::pipe_of(pipe), id, site);
}
template <std::uint8_t mode = 0, pipe_t pipe = PIPE_S>
void CrossCoreWaitFlag(std::uint16_t id, aicore::Site site = aicore::Site::here()) {
    aicore::core->wait_cross_core_flag(id, site);
}

/// Tell the block that waits for `eventID` of `blockIdx`.
template <bool isAIVOnly = true>
void IBSet(const GlobalTensor<std::int32_t>& /*gmWorkspace*/,
           const LocalTensor<std::int32_t>& /*ubWorkspace*/, std::int32_t blockIdx,
           std::int32_t eventID, aicore::Site site = aicore::Site::here()) {
    aicore::core->set_block_flag(blockIdx, eventID, site);
}
template <bool isAIVOnly = true>
void IBWait(const GlobalTensor<std::int32_t>& /*gmWorkspace*/,
            const LocalTensor<std::int32_t>& /*ubWorkspace*/, std::int32_t blockIdx,
            std::int32_t eventID, aicore::Site site = aicore::Site::here()) {
    aicore::core->wait_block_flag(blockIdx, eventID, site);
}

inline std::int64_t GetBlockNum() { return aicore::core->blocks; }
inline std::int64_t GetSubBlockIdx() { return aicore::core->sub_block; }
inline std::int64_t GetSubBlockNum() { return aicore::core->sub_blocks; }
inline std::int64_t GetTaskRation() { return aicore::core->sub_blocks; }
inline std::int64_t GetTaskRatio() { return aicore::core->sub_blocks; }
/// The number of the block; a vector core of a mixed kernel counts the vector cores before it.
inline std::int64_t GetBlockIdx() {
    const aicore::Core& core = *aicore::core;
    return core.mixed && !core.is_cube() ? core.block * core.sub_blocks + core.sub_block
                                         : core.block;
}

// Blocks that follow one another in order, so that sums in global memory have one order.
constexpr int turn_event = -1;
template <class Workspace, class Local>
void InitDetermineComputeWorkspace(Workspace&& /*gmWorkspace*/, Local&& /*ubWorkspace*/) {}
template <class Workspace, class Local>
void WaitPreBlock(Workspace&& /*gmWorkspace*/, Local&& /*ubWorkspace*/,
                  aicore::Site site = aicore::Site::here()) {
    if (GetBlockIdx() > 0) {
        aicore::core->wait_block_flag(static_cast<int>(GetBlockIdx()) - 1, turn_event, site);
    }
}
template <class Workspace, class Local>
void NotifyNextBlock(Workspace&& /*gmWorkspace*/, Local&& /*ubWorkspace*/,
                     aicore::Site site = aicore::Site::here()) {
    if (GetBlockIdx() + 1 < GetBlockNum()) {
        aicore::core->set_block_flag(static_cast<int>(GetBlockIdx()), turn_event, site);
    }
}

inline void InitSocState() {}
inline void SetNextTaskStart() {}
inline void WaitPreTaskEnd() {}
inline void ICachePreLoad(std::int64_t /*length*/) {}
inline void SetSysWorkspace(GM_ADDR /*workspace*/) {}
/// A device's Matmul objects need it; the emulated ones only that it is not null.
inline GM_ADDR GetSysWorkSpacePtr() {
    static std::uint8_t workspace = 0;
    return &workspace;
}
inline void SetSysWorkspaceForce(GM_ADDR /*workspace*/) {}
inline GM_ADDR GetUserWorkspace(GM_ADDR workspace) { return workspace; }
template <class T, CacheLine line, DcciDst destination = DcciDst::CACHELINE_ALL>
void DataCacheCleanAndInvalid(const GlobalTensor<T>& tensor) {
    static_assert(destination != DcciDst::CACHELINE_ATOMIC || __NPU_ARCH__ == 3510,
                  "DataCacheCleanAndInvalid: CACHELINE_ATOMIC exists on Ascend 950 only");
    const bool entire = line == CacheLine::ENTIRE_DATA_CACHE;
    aicore::core->clean_cache(entire ? nullptr : tensor.GetPhyAddr());
}
/// Between the cache and UB, which the emulated core keeps equal.
template <class T, CacheLine line, DcciDst destination>
void DataCacheCleanAndInvalid(const LocalTensor<T>& /*tensor*/) {}
template <class T, CacheLine line>
void DataCachePreload(const GlobalTensor<T>& /*tensor*/, std::int64_t /*offset*/) {}

/// Scalar accesses to global memory that do not go through the data cache.
template <class T>
T ReadGmByPassDCache(__gm__ T* address, aicore::Site site = aicore::Site::here()) {
    GlobalTensor<T> tensor;
    tensor.SetGlobalBuffer(address);
    return *static_cast<const T*>(
        tensor.use({"ReadGmByPassDCache", aicore::Pipe::s, site, true}, 0, sizeof(T), false));
}
template <class T>
void WriteGmByPassDCache(__gm__ T* address, T value, aicore::Site site = aicore::Site::here()) {
    GlobalTensor<T> tensor;
    tensor.SetGlobalBuffer(address);
    *static_cast<T*>(tensor.use({"WriteGmByPassDCache", aicore::Pipe::s, site, true}, 0, sizeof(T),
                                true)) = value;
}

}  // namespace AscendC

using AscendC::GetSysWorkSpacePtr;
using AscendC::GetUserWorkspace;

// The instructions of the device's compiler that public kernels call directly.
inline void set_flag(pipe_t source, pipe_t destination, std::int32_t id,
                     aicore::Site site = aicore::Site::here()) {
    aicore::core->set_flag(aicore::pipe_of(source), aicore::pipe_of(destination), id, site);
}
inline void wait_flag(pipe_t source, pipe_t destination, std::int32_t id,
                      aicore::Site site = aicore::Site::here()) {
    aicore::core->wait_flag(aicore::pipe_of(source), aicore::pipe_of(destination), id, site);
}
inline void pipe_barrier(pipe_t pipe) { aicore::core->barrier(aicore::pipe_of(pipe)); }
inline std::int64_t get_block_idx() { return aicore::core->block; }
/// The number of the block as a name, which a kernel's own variable may hide.
struct BlockIndex {
    operator std::int64_t() const {
        return get_block_idx();
    }  // NOLINT(google-explicit-constructor)
};
inline constexpr BlockIndex block_idx;
inline std::int64_t get_block_num() { return aicore::core->blocks; }
inline std::int64_t get_subblockid() { return aicore::core->sub_block; }
inline std::int64_t get_subblockdim() { return aicore::core->sub_blocks; }
