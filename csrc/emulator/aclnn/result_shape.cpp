#include "emulator/aclnn/result_shape.h"

#include <algorithm>
#include <iterator>
#include <string_view>

namespace ascend_emulator {
namespace {

using Shape = std::optional<IntList>;

std::vector<const IntList*> tensors_of(const Operation& operation, const Arguments& arguments) {
    std::vector<const IntList*> found;
    for (std::size_t i = 0; i < operation.count; ++i) {
        const IntList* sizes = sizes_of(arguments.values()[i]);
        if (sizes != nullptr && operation.kinds[i] != ParameterKind::output) {
            found.push_back(sizes);
        }
    }
    return found;
}

/// The first argument of a type, counted from `index`.
template <class T>
const T* first(const Arguments& arguments, std::size_t index = 0) {
    for (; index < arguments.values().size(); ++index) {
        if (const T* found = std::get_if<T>(&arguments.values()[index])) {
            return found;
        }
    }
    return nullptr;
}

bool wrap(std::int64_t* dim, std::size_t rank) {
    const auto dims = static_cast<std::int64_t>(std::max<std::size_t>(rank, 1));
    *dim += *dim < 0 ? dims : 0;
    return *dim >= 0 && *dim < dims;
}

Shape reduced(const IntList& sizes, const IntList& dims, bool keep) {
    std::vector<bool> is_reduced(sizes.size(), dims.empty());
    for (std::int64_t dim : dims) {
        if (!wrap(&dim, sizes.size())) {
            return std::nullopt;
        }
        if (!sizes.empty()) {
            is_reduced[static_cast<std::size_t>(dim)] = true;
        }
    }
    IntList shape;
    for (std::size_t i = 0; i < sizes.size(); ++i) {
        if (!is_reduced[i] || keep) {
            shape.push_back(is_reduced[i] ? 1 : sizes[i]);
        }
    }
    return shape;
}

Shape same_as_first(const Operation& operation, const Arguments& arguments) {
    const auto tensors = tensors_of(operation, arguments);
    return tensors.empty() ? std::nullopt : Shape(*tensors[0]);
}

Shape same_as_index(const Operation& operation, const Arguments& arguments) {
    const auto tensors = tensors_of(operation, arguments);
    return tensors.size() < 2 ? std::nullopt : Shape(*tensors[1]);
}

/// A list of tensors, side by side in one dimension or in a new one.
template <bool in_new_dimension>
Shape joined(const Operation&, const Arguments& arguments) {
    const auto* list = first<std::vector<TensorDescriptionPtr>>(arguments);
    const auto* number = first<std::int64_t>(arguments);
    if (list == nullptr || list->empty() || number == nullptr || (*list)[0] == nullptr) {
        return std::nullopt;
    }
    IntList shape = (*list)[0]->sizes;
    std::int64_t dim = *number;
    if (!wrap(&dim, shape.size() + (in_new_dimension ? 1 : 0))) {
        return std::nullopt;
    }
    const auto at = static_cast<std::size_t>(dim);
    if (in_new_dimension) {
        shape.insert(shape.begin() + dim, static_cast<std::int64_t>(list->size()));
        return shape;
    }
    for (std::size_t i = 1; i < list->size(); ++i) {
        if ((*list)[i] == nullptr || (*list)[i]->sizes.size() != shape.size() || shape.empty()) {
            return std::nullopt;  // of no dimensions, or empty ones, which are left out
        }
        shape[at] += (*list)[i]->sizes[at];
    }
    return shape;
}

Shape no_dimensions(const Operation&, const Arguments&) { return IntList{}; }

/// A list of dimensions, and whether they stay with size 1.
Shape over_dims(const Operation& operation, const Arguments& arguments) {
    const auto tensors = tensors_of(operation, arguments);
    const auto* dims = first<IntList>(arguments);
    const auto* keep = first<bool>(arguments);
    return tensors.empty() || keep == nullptr
               ? std::nullopt
               : reduced(*tensors[0], dims == nullptr ? IntList{} : *dims, *keep);
}

/// One dimension, the last integer before the flag that keeps it.
Shape over_dim(const Operation& operation, const Arguments& arguments) {
    const auto tensors = tensors_of(operation, arguments);
    const auto* keep = first<bool>(arguments);
    const std::int64_t* dim = nullptr;
    for (const Captured& captured : arguments.values()) {
        if (std::holds_alternative<bool>(captured)) {
            break;
        }
        const auto* number = std::get_if<std::int64_t>(&captured);
        dim = number == nullptr ? dim : number;
    }
    return tensors.empty() || keep == nullptr || dim == nullptr
               ? std::nullopt
               : reduced(*tensors[0], {*dim}, *keep);
}

/// The matrix product of two operands, as torch.matmul defines it.
Shape product_of(IntList a, IntList b) {
    if (a.empty() || b.empty()) {
        return std::nullopt;
    }
    const bool is_row = a.size() == 1;
    const bool is_column = b.size() == 1;
    if (is_row) {
        a.insert(a.begin(), 1);
    }
    if (is_column) {
        b.push_back(1);
    }
    if (a.back() != b[b.size() - 2]) {
        return std::nullopt;
    }
    IntList shape(a.begin(), a.end() - 2);
    if (!broadcast(IntList(b.begin(), b.end() - 2), &shape)) {
        return std::nullopt;
    }
    if (!is_row) {
        shape.push_back(a[a.size() - 2]);
    }
    if (!is_column) {
        shape.push_back(b.back());
    }
    return shape;
}

template <std::size_t left>
Shape product(const Operation& operation, const Arguments& arguments) {
    const auto tensors = tensors_of(operation, arguments);
    return tensors.size() != left + 2 ? std::nullopt
                                      : product_of(*tensors[left], *tensors[left + 1]);
}

struct NamedRule {
    std::string_view schema;
    ShapeRule rule;
};

constexpr NamedRule rules[] = {
    {"addmm", product<1>},
    {"all.dims", over_dims},
    {"amax", over_dims},
    {"amin", over_dims},
    {"any.dims", over_dims},
    {"argmax", over_dim},
    {"argmin", over_dim},
    {"baddbmm", product<1>},
    {"bmm", product<0>},
    {"cat", joined<false>},
    {"dot", product<0>},
    {"gather", same_as_index},
    {"kthvalue", over_dim},
    {"linalg_vector_norm", over_dims},
    {"logsumexp", over_dims},
    {"matmul", product<0>},
    {"max", no_dimensions},
    {"max.dim", over_dim},
    {"mean.dim", over_dims},
    {"median", no_dimensions},
    {"median.dim", over_dim},
    {"min", no_dimensions},
    {"min.dim", over_dim},
    {"mm", product<0>},
    {"mv", product<0>},
    {"nansum", over_dims},
    {"prod", no_dimensions},
    {"prod.dim_int", over_dim},
    {"stack", joined<true>},
    {"std.correction", over_dims},
    {"sum.dim_IntList", over_dims},
    {"take", same_as_index},
    {"trace", no_dimensions},
    {"var.correction", over_dims},
    {"var_mean.correction", over_dims},
};

/// Operators whose result has the shape of the first tensor.
constexpr std::string_view like_first[] = {
    "cummax",
    "cummin",
    "cumsum",
    "flip",
    "index_copy",
    "index_fill.int_Scalar",
    "log_softmax.int",
    "roll",
    "scatter_add",
    "softmax.int",
    "sort.stable",
    "tril",
    "triu",
};

constexpr std::string_view pointwise[] = {
    "eq_.Scalar", "eq_.Tensor", "floor_divide", "floor_divide.Scalar", "ge_.Scalar",
    "ge_.Tensor", "gt_.Scalar", "gt_.Tensor",   "hardswish",           "isclose",
    "le_.Scalar", "le_.Tensor", "lt_.Scalar",   "lt_.Tensor",          "masked_fill_.Scalar",
    "ne_.Scalar", "ne_.Tensor", "rsub.Scalar",  "rsub.Tensor",
};

}  // namespace

ShapeRule shape_rule_of(const std::string& schema) {
    if (std::find(std::begin(like_first), std::end(like_first), schema) != std::end(like_first)) {
        return same_as_first;
    }
    for (const NamedRule& named : rules) {
        if (named.schema == schema) {
            return named.rule;
        }
    }
    return nullptr;
}

bool is_pointwise_without_tag(const std::string& schema) {
    return std::find(std::begin(pointwise), std::end(pointwise), schema) != std::end(pointwise);
}

const IntList* sizes_of(const Captured& captured) {
    const auto* tensor = std::get_if<TensorDescriptionPtr>(&captured);
    return tensor == nullptr || *tensor == nullptr ? nullptr : &(*tensor)->sizes;
}

bool broadcast(const IntList& sizes, IntList* shape) {
    if (sizes.size() > shape->size()) {
        shape->insert(shape->begin(), sizes.size() - shape->size(), 1);
    }
    const std::size_t first = shape->size() - sizes.size();
    for (std::size_t i = 0; i < sizes.size(); ++i) {
        std::int64_t& size = (*shape)[first + i];
        if (size == 1) {
            size = sizes[i];
        } else if (sizes[i] != 1 && sizes[i] != size) {
            return false;
        }
    }
    return true;
}

}  // namespace ascend_emulator
