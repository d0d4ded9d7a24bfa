// Tensor descriptors of single-operator calls.
#include "emulator/interface/services.h"
#include "emulator/single_op/objects/handles.h"

using namespace ascend_emulator;

aclTensorDesc* aclCreateTensorDesc(aclDataType type, int rank, const int64_t* sizes,
                                   aclFormat format) {
    auto* descriptor = new aclTensorDesc;
    descriptor->data_type = type;
    descriptor->sizes.assign(sizes, sizes + (rank > 0 ? rank : 0));
    descriptor->format = format;
    services().count_handle(HandleKind::descriptor, 1);
    return descriptor;
}

void aclDestroyTensorDesc(const aclTensorDesc* descriptor) {
    static auto* const quarantine = new Quarantine<aclTensorDesc>;
    if (descriptor == nullptr) {
        return;
    }
    const std::string problem = why_unusable(descriptor, HandleKind::descriptor);
    if (!problem.empty()) {
        services().fail(ACL_ERROR_INVALID_PARAM, problem);
        return;
    }
    services().count_handle(HandleKind::descriptor, -1);
    quarantine->put(const_cast<aclTensorDesc*>(descriptor));
}

aclError aclSetTensorFormat(aclTensorDesc* descriptor, aclFormat format) {
    descriptor->format = format;
    return 0;
}
// Sets the storage's shape, which differs from the tensor's only in private formats.
aclError aclSetTensorShape(aclTensorDesc* descriptor, int rank, const int64_t* sizes) {
    (void)descriptor;
    (void)rank;
    (void)sizes;
    return 0;
}
aclError aclSetTensorPlaceMent(aclTensorDesc* descriptor, aclMemType type) {
    descriptor->on_host = type != ACL_MEMTYPE_DEVICE;
    return 0;
}
void aclSetTensorDescName(aclTensorDesc* descriptor, const char* name) { descriptor->name = name; }
aclDataType aclGetTensorDescType(const aclTensorDesc* descriptor) { return descriptor->data_type; }
aclFormat aclGetTensorDescFormat(const aclTensorDesc* descriptor) { return descriptor->format; }
size_t aclGetTensorDescNumDims(const aclTensorDesc* descriptor) { return descriptor->sizes.size(); }
aclError aclGetTensorDescDimV2(const aclTensorDesc* descriptor, size_t index, int64_t* size) {
    if (index >= descriptor->sizes.size()) {
        return services().fail(ACL_ERROR_INVALID_PARAM,
                               "index must be below the number of dimensions, " +
                                   std::to_string(descriptor->sizes.size()) + ", got " +
                                   std::to_string(index));
    }
    *size = descriptor->sizes[index];
    return 0;
}
