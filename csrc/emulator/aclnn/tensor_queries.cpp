// What a tensor handle is asked for.
#include <algorithm>

#include "emulator/aclnn/handles.h"
#include "emulator/interface/services.h"
#include "emulator/interface/status.h"

using namespace ascend_emulator;

namespace {

/// 0, or the code of a tensor that cannot be asked.
int refuse(const aclTensor* tensor) {
    const std::string problem = why_unusable(tensor, HandleKind::tensor);
    return problem.empty() ? 0 : services().fail(invalid_handle, problem);
}

}  // namespace

/// The caller frees the array with delete[].
EMULATOR_EXPORT int aclGetViewShape(const aclTensor* tensor, std::int64_t** sizes,
                                    std::uint64_t* rank) {
    if (const int refused = refuse(tensor)) {
        return refused;
    }
    const IntList& found = tensor->description->sizes;
    *rank = found.size();
    *sizes = new std::int64_t[std::max<std::size_t>(found.size(), 1)];
    std::copy(found.begin(), found.end(), *sizes);
    return 0;
}

EMULATOR_EXPORT int aclGetDataType(const aclTensor* tensor, aclDataType* type) {
    if (const int refused = refuse(tensor)) {
        return refused;
    }
    *type = tensor->description->data_type;
    return 0;
}
EMULATOR_EXPORT int aclGetFormat(const aclTensor* tensor, aclFormat* format) {
    if (const int refused = refuse(tensor)) {
        return refused;
    }
    *format = tensor->description->format;
    return 0;
}
