// Tensor descriptors of single-operator calls.
#include "emulator/single_op/objects/handles.h"

using namespace ascend_emulator;

namespace {

/// Call `set` with a live descriptor.
template <class Set>
aclError change(aclTensorDesc* descriptor, Set set) {
    return guarded([&] {
        const int refused = check_handle(descriptor);
        if (refused == 0) {
            set(*descriptor);
        }
        return refused;
    });
}

/// What `get` returns for a live descriptor, or `otherwise`.
template <class Result, class Get>
Result of_descriptor(const aclTensorDesc* descriptor, Result otherwise, Get get) {
    return guarded([&] { return check_handle(descriptor) == 0 ? get(*descriptor) : otherwise; },
                   otherwise);
}

constexpr int max_rank = 64;  // torch's

}  // namespace

aclTensorDesc* aclCreateTensorDesc(aclDataType type, int rank, const int64_t* sizes,
                                   aclFormat format) {
    return guarded_pointer([&]() -> aclTensorDesc* {
        if (rank > max_rank || (rank > 0 && sizes == nullptr)) {
            services().fail(ACL_ERROR_INVALID_PARAM, "dims must be given, at most " +
                                                         std::to_string(max_rank) + ", got " +
                                                         std::to_string(rank));
            return nullptr;
        }
        auto* descriptor = make_handle<aclTensorDesc>();
        descriptor->data_type = type;
        descriptor->sizes.assign(sizes, sizes + (rank > 0 ? rank : 0));
        descriptor->format = format;
        services().count_handle(HandleKind::descriptor, 1);
        return descriptor;
    });
}

void aclDestroyTensorDesc(const aclTensorDesc* descriptor) {
    guarded([&] {
        if (descriptor == nullptr) {
            return 0;
        }
        const int refused = check_handle(descriptor);
        if (refused == 0) {
            services().count_handle(HandleKind::descriptor, -1);
            destroy_handle(descriptor);
        }
        return refused;
    });
}

aclError aclSetTensorFormat(aclTensorDesc* descriptor, aclFormat format) {
    return change(descriptor, [&](aclTensorDesc& live) { live.format = format; });
}
// Sets the storage's shape, which differs from the tensor's only in private formats.
aclError aclSetTensorShape(aclTensorDesc* descriptor, int rank, const int64_t* sizes) {
    if (rank < 0 || rank > max_rank || (rank > 0 && sizes == nullptr)) {
        return services().fail(ACL_ERROR_INVALID_PARAM, "dims must be given, at most " +
                                                            std::to_string(max_rank) + ", got " +
                                                            std::to_string(rank));
    }
    return change(descriptor,
                  [&](aclTensorDesc& live) { live.storage_sizes.assign(sizes, sizes + rank); });
}
aclError aclSetTensorPlaceMent(aclTensorDesc* descriptor, aclMemType type) {
    return change(descriptor,
                  [&](aclTensorDesc& live) { live.on_host = type != ACL_MEMTYPE_DEVICE; });
}
void aclSetTensorDescName(aclTensorDesc* descriptor, const char* name) {
    change(descriptor, [&](aclTensorDesc& live) { live.name = name == nullptr ? "" : name; });
}
aclDataType aclGetTensorDescType(const aclTensorDesc* descriptor) {
    return of_descriptor(descriptor, ACL_DT_UNDEFINED,
                         [](const aclTensorDesc& live) { return live.data_type; });
}
aclFormat aclGetTensorDescFormat(const aclTensorDesc* descriptor) {
    return of_descriptor(descriptor, ACL_FORMAT_UNDEFINED,
                         [](const aclTensorDesc& live) { return live.format; });
}
size_t aclGetTensorDescNumDims(const aclTensorDesc* descriptor) {
    return of_descriptor(descriptor, size_t{0},
                         [](const aclTensorDesc& live) { return live.sizes.size(); });
}
aclError aclGetTensorDescDimV2(const aclTensorDesc* descriptor, size_t index, int64_t* size) {
    int refused = check_handle(descriptor);
    refused = refused != 0 ? refused : check_pointer(size, "dimSize");
    if (refused != 0) {
        return refused;
    }
    if (index >= descriptor->sizes.size()) {
        return services().fail(ACL_ERROR_INVALID_PARAM,
                               "index must be below the number of dimensions, " +
                                   std::to_string(descriptor->sizes.size()) + ", got " +
                                   std::to_string(index));
    }
    *size = descriptor->sizes[index];
    return 0;
}
