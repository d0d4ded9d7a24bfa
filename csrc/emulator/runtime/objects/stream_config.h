// What a program configures a stream with before it creates it.
#pragma once

#include <cstddef>

#include "acl/acl_rt.h"

namespace ascend_emulator {

aclrtStreamConfigHandle* create_stream_config();

/// 0, or a code, with an error noted, if the handle is not a live one.
int check_stream_config(const aclrtStreamConfigHandle* handle);

/// Set an attribute, whose value has `bytes` bytes. 0 or a code.
int set_stream_config(aclrtStreamConfigHandle* handle, aclrtStreamConfigAttr attribute,
                      const void* value, std::size_t bytes);

/// Destroy a handle. 0, or a code if it is not a live one.
int destroy_stream_config(const aclrtStreamConfigHandle* handle);

}  // namespace ascend_emulator
