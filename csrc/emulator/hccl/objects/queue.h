// Turns a call of an HCCL function into a task on the caller's stream.
#pragma once

#include <functional>
#include <vector>

#include "emulator/hccl/objects/communicator.h"
#include "emulator/interface/guard.h"
#include "hccl/hccl_types.h"

namespace ascend_emulator {

using Work = std::function<int(Communicator&)>;

/// An entry point's body: HCCL_SUCCESS, or a code of HCCL. No exception leaves it.
template <class Body>
HcclResult entry(Body&& body) {
    return guarded(std::forward<Body>(body), HCCL_E_INTERNAL);
}

/// HCCL_SUCCESS, or HCCL_E_PTR, with an error noted, if the pointer is null.
inline HcclResult check_given(const void* pointer, const char* name) {
    return check_pointer(pointer, name) == 0 ? HCCL_SUCCESS : HCCL_E_PTR;
}

/// HCCL_SUCCESS, or HCCL_E_PARA, with an error noted, if the rank is not one of the group's.
HcclResult check_rank(HcclComm handle, const char* name, std::uint32_t rank);

/// Enter the function `name`, check the handle and the memory, and queue the work.
HcclResult queue(const char* name, HcclComm handle, void* stream, std::vector<Access> accesses,
                 Work work);

/// The same for a function that was entered before.
HcclResult queue_entered(const char* name, HcclComm handle, void* stream,
                         std::vector<Access> accesses, Work work);

}  // namespace ascend_emulator
