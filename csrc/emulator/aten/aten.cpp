// Calls of ATen's operators by schema, and tensors. Only the files of this folder include torch's
// C++ headers.
#include <ATen/core/dispatch/Dispatcher.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/from_blob.h>
#include <c10/core/impl/LocalDispatchKeySet.h>

#include <algorithm>
#include <iterator>
#include <stdexcept>
#include <unordered_map>

#include "emulator/aten/callee.h"
#include "emulator/aten/schema_call.h"

namespace ascend_emulator {
namespace {

/// Switch autograd off: torch does it on the caller's side.
void leave_autograd_out() {
    thread_local const bool done = [] {
        at::GradMode::set_enabled(false);
        auto keys = c10::impl::tls_local_dispatch_key_set();
        keys.excluded_ = keys.excluded_ | c10::autograd_dispatch_keyset |
                         c10::DispatchKeySet(c10::DispatchKey::ADInplaceOrView);
        c10::impl::_force_tls_local_dispatch_key_set(keys);
        return true;
    }();
    (void)done;
}

thread_local bool rehearses = false;

/// Called before whatever reads or writes the elements of a tensor.
void compute() {
    if (rehearses) {
        throw Rehearsal::Computes();
    }
}

std::string describe(const Value& value) {
    constexpr const char* names[] = {"None",    "bool",   "int",      "float",   "str",
                                     "dtype",   "scalar", "seed",     "tensor",  "int[]",
                                     "float[]", "bool[]", "tensor[]", "scalar[]"};
    return names[value.index()];
}

}  // namespace

Rehearsal::Rehearsal() { rehearses = true; }
Rehearsal::~Rehearsal() { rehearses = false; }

c10::OperatorHandle find_operator(const std::string& schema) {
    const std::size_t dot = schema.find('.');
    const std::string name = "aten::" + schema.substr(0, dot);
    const std::string overload = dot == std::string::npos ? "" : schema.substr(dot + 1);
    const auto found = c10::Dispatcher::singleton().findSchema({name, overload});
    if (!found) {
        throw std::runtime_error("this torch does not have the operator " + name + "." + overload);
    }
    return *found;
}

struct SchemaCall::Plan {
    explicit Plan(c10::OperatorHandle handle) : callee(std::move(handle)) {}
    Callee callee;
    std::vector<int> sources;  // per argument of the schema; -1 is its default
};

SchemaCall::SchemaCall(const char* function, const char* schema,
                       const std::vector<Value>& arguments)
    : plan_(std::make_unique<Plan>(find_operator(schema))),
      is_pointwise_(plan_->callee.op.hasTag(at::Tag::pointwise)) {
    std::size_t next = 0;
    for (const c10::Argument& wanted : plan_->callee.op.schema().arguments()) {
        if (next < arguments.size() && fits(arguments[next], *wanted.type())) {
            plan_->sources.push_back(static_cast<int>(next++));
        } else if (wanted.default_value().has_value()) {
            plan_->sources.push_back(-1);
        } else {
            throw std::runtime_error(std::string(function) + " does not match aten::" + schema +
                                     ": no input for its argument '" + wanted.name() +
                                     "' of type " + wanted.type()->str());
        }
    }
    if (next != arguments.size()) {
        throw std::runtime_error(std::string(function) + " does not match aten::" + schema +
                                 ": no argument of the schema takes its input " +
                                 std::to_string(next) + " (" + describe(arguments[next]) + ")");
    }
}

SchemaCall::~SchemaCall() = default;

std::string argument_name(const char* schema, std::size_t index) {
    const auto& arguments = find_operator(schema).schema().arguments();
    return index < arguments.size() ? arguments[index].name() : "";
}

bool argument_is_optional(const char* schema, std::size_t index) {
    const auto& arguments = find_operator(schema).schema().arguments();
    return index < arguments.size() &&
           arguments[index].type()->kind() == c10::TypeKind::OptionalType;
}

TensorList SchemaCall::run(const std::vector<Value>& arguments) const {
    std::vector<const Value*> given;
    given.reserve(plan_->sources.size());
    for (const int source : plan_->sources) {
        given.push_back(source < 0 ? nullptr : &arguments[static_cast<std::size_t>(source)]);
    }
    leave_autograd_out();
    return plan_->callee.run(given);
}

TensorList call(const char* schema, std::vector<Value> arguments) {
    compute();
    leave_autograd_out();
    thread_local std::unordered_map<const void*, Callee> known;
    auto found = known.find(schema);
    if (found == known.end()) {
        found = known.emplace(schema, Callee(find_operator(schema))).first;
    }
    const auto& wanted = found->second.op.schema().arguments();
    std::vector<const Value*> given(wanted.size(), nullptr);
    for (std::size_t i = 0; i < std::min(wanted.size(), arguments.size()); ++i) {
        const Value& argument = arguments[i];
        if (std::holds_alternative<std::monostate>(argument) && wanted[i].default_value()) {
            continue;
        }
        if (!fits(argument, *wanted[i].type())) {
            throw std::runtime_error("aten::" + std::string(schema) + ": " + wanted[i].name() +
                                     " must be of type " + wanted[i].type()->str() + ", got " +
                                     describe(argument));
        }
        given[i] = &argument;
    }
    return found->second.run(given);
}

Tensor::Tensor(const Tensor& other) : impl_(other.impl_) {
    if (impl_ != nullptr) {
        c10::raw::intrusive_ptr::incref(static_cast<at::TensorImpl*>(impl_));
    }
}

Tensor::~Tensor() {
    if (impl_ != nullptr) {
        c10::raw::intrusive_ptr::decref(static_cast<at::TensorImpl*>(impl_));
    }
}

std::int64_t Tensor::dim() const { return torch_tensor(*this).dim(); }
std::int64_t Tensor::numel() const { return torch_tensor(*this).numel(); }
std::int64_t Tensor::size(std::int64_t dimension) const {
    return torch_tensor(*this).size(dimension);
}
IntList Tensor::sizes() const { return torch_tensor(*this).sizes().vec(); }
DType Tensor::dtype() const { return static_cast<DType>(torch_tensor(*this).scalar_type()); }
void* Tensor::data() const {
    compute();
    return torch_tensor(*this).data_ptr();
}
double Tensor::item() const {
    compute();
    return torch_tensor(*this).item().toDouble();
}

Tensor Tensor::to(DType dtype) const {
    compute();
    return own_tensor(torch_tensor(*this).to(scalar_type(dtype)));
}
Tensor Tensor::reshape(const IntList& sizes) const {
    compute();
    return own_tensor(torch_tensor(*this).reshape(sizes));
}
Tensor Tensor::permute(const IntList& dimensions) const {
    return own_tensor(torch_tensor(*this).permute(dimensions));
}
Tensor Tensor::transpose(std::int64_t a, std::int64_t b) const {
    return own_tensor(torch_tensor(*this).transpose(a, b));
}
Tensor Tensor::sum(const IntList& dimensions, bool keep) const {
    compute();
    return own_tensor(torch_tensor(*this).sum(at::IntArrayRef(dimensions), keep));
}
Tensor Tensor::narrow(std::int64_t dimension, std::int64_t length) const {
    return own_tensor(torch_tensor(*this).narrow(dimension, 0, length));
}
Tensor Tensor::contiguous() const {
    const at::Tensor tensor = torch_tensor(*this);
    if (rehearses && !tensor.is_contiguous()) {
        return own_tensor(tensor.alias());  // another tensor, as the contiguous one would be
    }
    return own_tensor(tensor.contiguous());
}

Tensor tensor_at(void* data, const IntList& sizes, const IntList& strides, DType dtype) {
    return own_tensor(
        at::from_blob(data, sizes, strides, at::TensorOptions().dtype(scalar_type(dtype))));
}

namespace {

IntList without_ones(const IntList& sizes) {
    IntList others;
    std::copy_if(sizes.begin(), sizes.end(), std::back_inserter(others),
                 [](std::int64_t size) { return size != 1; });
    return others;
}

}  // namespace

bool same_but_for_ones(const IntList& a, const IntList& b) {
    return a == b || without_ones(a) == without_ones(b);
}

void assign_output(std::size_t parameter, const Tensor& to, const Tensor& from) {
    compute();
    if (!to.defined() || !from.defined() || to.impl() == from.impl()) {
        return;
    }
    const at::Tensor target = torch_tensor(to);
    const at::Tensor source = torch_tensor(from);
    if (target.numel() == 0) {
        return;  // an empty tensor is an output that the caller does not want
    }
    if (target.sizes() == source.sizes()) {
        if (target.scalar_type() == source.scalar_type() && target.is_contiguous() &&
            source.is_contiguous() && !source.is_conj() && !source.is_neg()) {
            std::memmove(target.data_ptr(), source.const_data_ptr(), source.nbytes());
        } else {
            target.copy_(source);
        }
    } else if (same_but_for_ones(to.sizes(), from.sizes())) {
        target.copy_(source.reshape(target.sizes()));
    } else {
        throw WrongShape(parameter, from.sizes(), to.sizes());
    }
}

void assign(const Tensor& to, const Tensor& from) {
    assign_output(WrongShape::unknown_parameter, to, from);
}

WrongShape::WrongShape(std::size_t its_parameter, const IntList& wanted, const IntList& got)
    : std::runtime_error(" must have shape " + c10::str(at::IntArrayRef(wanted)) + ", got " +
                         c10::str(at::IntArrayRef(got))),
      parameter(its_parameter) {}

Tensor Tensor::expand(const IntList& sizes) const {
    return own_tensor(torch_tensor(*this).expand(sizes));
}

std::int64_t element_size(DType dtype) {
    return static_cast<std::int64_t>(c10::elementSize(scalar_type(dtype)));
}

const char* name_of(DType dtype) { return c10::toString(scalar_type(dtype)); }

bool is_integral(DType dtype) { return c10::isIntegralType(scalar_type(dtype), true); }

}  // namespace ascend_emulator
