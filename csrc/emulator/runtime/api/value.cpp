// The AscendCL functions that write a value to device memory on a stream, and wait for one.
#include "emulator/runtime/objects/value.h"

#include <string>

#include "acl/acl_rt.h"
#include "emulator/runtime/api/entry.h"
#include "emulator/runtime/objects/copy.h"
#include "emulator/runtime/objects/error.h"
#include "emulator/runtime/objects/stream.h"

namespace ascend_emulator {
namespace {

int check_word(const void* address, std::uint32_t flag, std::uint32_t largest_flag) {
    if (flag > largest_flag) {
        return fail(ACL_ERROR_RT_PARAM_INVALID, "flag must be at most " +
                                                    std::to_string(largest_flag) + ", got " +
                                                    std::to_string(flag));
    }
    if (reinterpret_cast<std::uintptr_t>(address) % sizeof(std::uint64_t) != 0) {
        return fail(ACL_ERROR_RT_ADDR_UNALIGNED, "devAddr must be aligned to 8 bytes");
    }
    return check_live("devAddr", address, sizeof(std::uint64_t));
}

}  // namespace
}  // namespace ascend_emulator

using namespace ascend_emulator;

aclError aclrtValueWrite(void* address, uint64_t value, uint32_t flag, aclrtStream stream) try {
    ACL_ENTER();
    ACL_REQUIRE(address);
    const int refused = check_word(address, flag, 0);
    return refused != 0 ? refused : enqueue(stream, write_value_task(address, value));
}
ACL_CATCH

aclError aclrtValueWait(void* address, uint64_t value, uint32_t flag, aclrtStream stream) try {
    ACL_ENTER();
    ACL_REQUIRE(address);
    const int refused = check_word(address, flag, ACL_STREAM_WAIT_VALUE_NOR);
    return refused != 0 ? refused : enqueue(stream, wait_value_task(address, value, flag));
}
ACL_CATCH
