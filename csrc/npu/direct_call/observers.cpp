#include "npu/direct_call/observers.h"

#include <c10/core/GradMode.h>
#include <c10/core/InferenceMode.h>
#include <c10/core/impl/LocalDispatchKeySet.h>

// The headers that declare these two take longer to compile than the rest of this library.
namespace at {
bool hasCallbacks();
namespace impl {
bool torch_function_mode_enabled();
}
}  // namespace at

namespace ascend_ops::direct_call {
namespace {

using c10::DispatchKeySet;

struct LocalKeys {
    std::uint64_t included = 0;
    std::uint64_t excluded = 0;

    bool operator==(const LocalKeys& other) const {
        return included == other.included && excluded == other.excluded;
    }
};

LocalKeys local_keys() {
    const c10::impl::LocalDispatchKeySet keys = c10::impl::tls_local_dispatch_key_set();
    return {keys.included_.raw_repr(), keys.excluded_.raw_repr()};
}

/// Return the keys of a thread that is in inference mode and nothing else.
LocalKeys keys_in_inference_mode() {
    c10::impl::ForceDispatchKeyGuard nothing_else(c10::default_included_set,
                                                  c10::default_excluded_set);
    c10::InferenceMode mode;
    return local_keys();
}

}  // namespace

bool nothing_observes() {
    static const LocalKeys usual{c10::default_included_set.raw_repr(),
                                 c10::default_excluded_set.raw_repr()};
    static const LocalKeys inference = keys_in_inference_mode();
    const LocalKeys now = local_keys();
    return (now == usual || now == inference) && !at::hasCallbacks() &&
           !at::impl::torch_function_mode_enabled();
}

bool is_plain(const c10::TensorImpl& tensor) {
    constexpr DispatchKeySet npu(c10::DispatchKey::PrivateUse1);
    return tensor.key_set() - c10::autograd_dispatch_keyset_with_ADInplaceOrView -
               c10::autocast_dispatch_keyset ==
           npu;
}

bool needs_gradient(const c10::TensorImpl& tensor) {
    return c10::GradMode::is_enabled() && tensor.requires_grad();
}

}  // namespace ascend_ops::direct_call
