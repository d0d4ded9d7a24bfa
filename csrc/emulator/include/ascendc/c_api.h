// The C API: what orders pipes, who a core is, and moves between global memory and UB.
//
// Its functions take addresses. bisheng lets each array of UB in a function refer to the core's
// memory, so that an address is one of UB whether it comes from an array or from a number.
#pragma once

#include "ascendc/by_address.h"
#include "ascendc/synchronization.h"

namespace aicore {

/// Bytes of UB from an address on.
inline LocalTensor<std::uint8_t> bytes_of_ub(const void* address) {
    return tensor_at(static_cast<const std::uint8_t*>(address));
}
inline GlobalTensor<std::uint8_t> bytes_of_global(void* address) {
    return global_at(static_cast<std::uint8_t*>(address));
}

/// The `_sync` form of a function waits for all pipes behind it.
inline void wait_for_all_pipes() { core->barrier(Pipe::all); }

}  // namespace aicore

inline void asc_init() {}
inline void asc_sync() { aicore::wait_for_all_pipes(); }
inline void asc_sync_vec() { aicore::wait_for_all_pipes(); }
inline void asc_sync_pipe(pipe_t pipe) { aicore::core->barrier(aicore::pipe_of(pipe)); }
inline void asc_sync_notify(pipe_t pipe, pipe_t tpipe, event_t id,
                            aicore::Site site = aicore::Site::here()) {
    set_flag(pipe, tpipe, id, site);
}
inline void asc_sync_wait(pipe_t pipe, pipe_t tpipe, event_t id,
                          aicore::Site site = aicore::Site::here()) {
    wait_flag(pipe, tpipe, id, site);
}
/// Let the pipes behind a load wait for it.
inline void asc_sync_mte2(int id, aicore::Site site = aicore::Site::here()) {
    for (const pipe_t behind : {PIPE_MTE3, PIPE_V}) {
        set_flag(PIPE_MTE2, behind, id, site);
        wait_flag(PIPE_MTE2, behind, id, site);
    }
    asc_sync_pipe(PIPE_MTE2);
}

inline std::int64_t asc_get_block_idx() { return AscendC::GetBlockIdx(); }
inline std::int64_t asc_get_block_num() { return AscendC::GetBlockNum(); }
inline std::int64_t asc_get_sub_block_id() { return AscendC::GetSubBlockIdx(); }
inline std::int64_t asc_get_sub_block_num() { return AscendC::GetSubBlockNum(); }
/// An address of UB as a number, which a kernel casts to a pointer.
inline std::uint64_t asc_get_phy_buf_addr(std::uint64_t offset) {
    return reinterpret_cast<std::uint64_t>(aicore::core->at(static_cast<std::uint32_t>(offset)));
}

// Moves of whole blocks of 32 bytes. Sizes are in bytes, gaps and bursts in blocks.
#define AICORE_C_API_MOVE(NAME, TO, FROM, TO_TENSOR, FROM_TENSOR)                                  \
    inline void NAME(TO void* dst, FROM void* src, std::uint32_t size,                             \
                     aicore::Site site = aicore::Site::here()) {                                   \
        AscendC::DataCopy(aicore::TO_TENSOR(dst), aicore::FROM_TENSOR(src), size, site);           \
    }                                                                                              \
    inline void NAME(TO void* dst, FROM void* src, std::uint16_t n_burst, std::uint16_t len_burst, \
                     std::uint16_t src_gap, std::uint16_t dst_gap,                                 \
                     aicore::Site site = aicore::Site::here()) {                                   \
        AscendC::DataCopy(aicore::TO_TENSOR(dst), aicore::FROM_TENSOR(src),                        \
                          AscendC::DataCopyParams(n_burst, len_burst, src_gap, dst_gap), site);    \
    }                                                                                              \
    inline void NAME##_sync(TO void* dst, FROM void* src, std::uint32_t size,                      \
                            aicore::Site site = aicore::Site::here()) {                            \
        NAME(dst, src, size, site);                                                                \
        aicore::wait_for_all_pipes();                                                              \
    }

AICORE_C_API_MOVE(asc_copy_gm2ub, __ubuf__, __gm__, bytes_of_ub, bytes_of_global)
AICORE_C_API_MOVE(asc_copy_ub2gm, __gm__, __ubuf__, bytes_of_global, bytes_of_ub)
AICORE_C_API_MOVE(asc_copy_ub2ub, __ubuf__, __ubuf__, bytes_of_ub, bytes_of_ub)

// Moves of any number of bytes; a tail of a block in UB is left as the device leaves it.
template <class T>
void asc_copy_gm2ub_align(__ubuf__ T* dst, __gm__ T* src, std::uint32_t size,
                          aicore::Site site = aicore::Site::here()) {
    AscendC::DataCopyPad(aicore::tensor_at(dst), aicore::global_at(src),
                         AscendC::DataCopyExtParams(1, size, 0, 0, 0),
                         AscendC::DataCopyPadExtParams<T>(), site);
}
template <class T>
void asc_copy_ub2gm_align(__gm__ T* dst, __ubuf__ T* src, std::uint32_t size,
                          aicore::Site site = aicore::Site::here()) {
    AscendC::DataCopyPad(aicore::global_at(dst), aicore::tensor_at(src),
                         AscendC::DataCopyExtParams(1, size, 0, 0, 0), site);
}
template <class T>
void asc_copy_gm2ub_align_sync(__ubuf__ T* dst, __gm__ T* src, std::uint32_t size,
                               aicore::Site site = aicore::Site::here()) {
    asc_copy_gm2ub_align(dst, src, size, site);
    aicore::wait_for_all_pipes();
}
template <class T>
void asc_copy_ub2gm_align_sync(__gm__ T* dst, __ubuf__ T* src, std::uint32_t size,
                               aicore::Site site = aicore::Site::here()) {
    asc_copy_ub2gm_align(dst, src, size, site);
    aicore::wait_for_all_pipes();
}
