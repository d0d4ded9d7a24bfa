#include "npu/direct_call/arguments.h"

#include <ATen/core/TensorBase.h>

#include <algorithm>
#include <cstring>
#include <map>
#include <optional>
#include <stdexcept>

#include "npu/direct_call/observers.h"

// torch/csrc/autograd/python_variable.h, which declares it, takes ten seconds to compile.
PyObject* THPVariable_Wrap(const at::TensorBase& tensor);

namespace ascend_ops::direct_call {
namespace {

using torch::stable::detail::from;

// Set once, by load_types(): importing a module may let another thread run.
PyObject* tensor_type = nullptr;
PyObject* parameter_type = nullptr;
PyObject* address_name = nullptr;

/// Return an attribute of a module; nullptr with an exception set if it is missing.
PyObject* attribute_of(const char* module_name, const char* name) {
    PyObject* const module = PyImport_ImportModule(module_name);
    PyObject* const found = module == nullptr ? nullptr : PyObject_GetAttrString(module, name);
    Py_XDECREF(module);
    return found;
}

/// Subclasses of these two may define __torch_function__ or __torch_dispatch__.
bool is_exactly_tensor(PyObject* object) {
    auto* const type = reinterpret_cast<PyObject*>(Py_TYPE(object));
    return type == tensor_type || type == parameter_type;
}

/// Return the implementation of a Python tensor; nullptr with an exception set if it has none.
c10::TensorImpl* implementation_of(PyObject* tensor) {
    PyObject* const address = PyObject_GetAttr(tensor, address_name);
    if (address == nullptr) {
        return nullptr;
    }
    void* const pointer = PyLong_AsVoidPtr(address);
    Py_DECREF(address);
    return static_cast<c10::TensorImpl*>(pointer);
}

void append(Signature& signature, c10::IntArrayRef values) {
    signature.insert(signature.end(), values.begin(), values.end());
}

bool append_tensor(PyObject* argument, Signature& signature) {
    if (!is_exactly_tensor(argument)) {
        return false;
    }
    const c10::TensorImpl* const tensor = implementation_of(argument);
    if (tensor == nullptr) {
        PyErr_Clear();
        return false;
    }
    if (!is_plain(*tensor) || needs_gradient(*tensor) || tensor->has_symbolic_sizes_strides()) {
        return false;
    }
    const auto scalar_type = c10::typeMetaToScalarType(tensor->dtype());
    signature.push_back(static_cast<std::uint64_t>(scalar_type));
    signature.push_back(static_cast<std::uint64_t>(tensor->device().index()));
    signature.push_back(static_cast<std::uint64_t>(tensor->dim()));
    append(signature, tensor->sizes());
    append(signature, tensor->strides());
    return true;
}

/// Return an int that fits into 64 bits.
std::optional<std::int64_t> integer_of(PyObject* object) {
    if (!PyLong_CheckExact(object)) {
        return std::nullopt;
    }
    int overflow = 0;
    const std::int64_t value = PyLong_AsLongLongAndOverflow(object, &overflow);
    return overflow == 0 ? std::optional<std::int64_t>(value) : std::nullopt;
}

/// Return the items of a tuple or list, or of a torch.Size, which is a tuple.
std::optional<std::vector<std::int64_t>> integers_of(PyObject* object) {
    if (!PyTuple_Check(object) && !PyList_CheckExact(object)) {
        return std::nullopt;
    }
    std::vector<std::int64_t> values;
    const Py_ssize_t size = PySequence_Fast_GET_SIZE(object);
    for (Py_ssize_t i = 0; i < size; ++i) {
        const auto value = integer_of(PySequence_Fast_GET_ITEM(object, i));
        if (!value.has_value()) {
            return std::nullopt;
        }
        values.push_back(*value);
    }
    return values;
}

/// Append the length and the items of a list of integers.
bool append_integers(PyObject* argument, Signature& signature) {
    const auto values = integers_of(argument);
    if (!values.has_value()) {
        return false;
    }
    signature.push_back(values->size());
    append(signature, *values);
    return true;
}

/// Append whether there is a value, and the value by `append_value`.
bool append_optional(bool (*append_value)(PyObject*, Signature&), PyObject* argument,
                     Signature& signature) {
    const bool has_value = argument != Py_None;
    signature.push_back(static_cast<std::uint64_t>(has_value));
    return !has_value || append_value(argument, signature);
}

/// Append the length and the bytes of a str, eight to a word.
bool append_text(PyObject* argument, Signature& signature) {
    Py_ssize_t size = 0;
    const char* const text =
        PyUnicode_CheckExact(argument) ? PyUnicode_AsUTF8AndSize(argument, &size) : nullptr;
    if (text == nullptr) {
        PyErr_Clear();
        return false;
    }
    const auto length = static_cast<std::size_t>(size);
    signature.push_back(length);
    for (std::size_t start = 0; start < length; start += sizeof(std::uint64_t)) {
        std::uint64_t word = 0;
        std::memcpy(&word, text + start, std::min(sizeof(word), length - start));
        signature.push_back(word);
    }
    return true;
}

std::uint64_t bits_of(double value) {
    std::uint64_t bits = 0;
    std::memcpy(&bits, &value, sizeof(bits));
    return bits;
}

/// Return a new handle of a Python tensor.
AtenTensorHandle handle_of(PyObject* argument) {
    c10::TensorImpl* const tensor = implementation_of(argument);
    if (tensor == nullptr) {
        PyErr_Clear();
        throw std::runtime_error("a tensor has no implementation");
    }
    at::TensorBase base(
        c10::intrusive_ptr<c10::TensorImpl, c10::UndefinedTensorImpl>::reclaim_copy(tensor));
    AtenTensorHandle made = nullptr;
    TORCH_ERROR_CODE_CHECK(
        aoti_torch_new_tensor_handle(reinterpret_cast<AtenTensorHandle>(&base), &made));
    return made;
}

}  // namespace

bool load_types() {
    tensor_type = attribute_of("torch", "Tensor");
    parameter_type = attribute_of("torch.nn", "Parameter");
    address_name = PyUnicode_InternFromString("_cdata");
    return tensor_type != nullptr && parameter_type != nullptr && address_name != nullptr;
}

Kind kind_of(const std::string& name) {
    static const std::map<std::string, Kind> kinds{
        {"Tensor", Kind::tensor},
        {"Optional[Tensor]", Kind::optional_tensor},
        {"float", Kind::number},
        {"int", Kind::integer},
        {"bool", Kind::boolean},
        {"List[int]", Kind::integers},
        {"List[SymInt]", Kind::integers},
        {"Optional[List[int]]", Kind::optional_integers},
        {"str", Kind::text},
    };
    const auto found = kinds.find(name);
    if (found == kinds.end()) {
        throw std::invalid_argument("an op with an argument of type " + name +
                                    " cannot be called directly");
    }
    return found->second;
}

bool append_signature(Kind kind, PyObject* argument, Signature& signature) {
    switch (kind) {
        case Kind::tensor:
            return append_tensor(argument, signature);
        case Kind::optional_tensor:
            return append_optional(append_tensor, argument, signature);
        case Kind::number:
            if (!PyFloat_CheckExact(argument)) {
                return false;
            }
            signature.push_back(bits_of(PyFloat_AS_DOUBLE(argument)));
            return true;
        case Kind::integer:
            if (const auto value = integer_of(argument)) {
                signature.push_back(static_cast<std::uint64_t>(*value));
                return true;
            }
            return false;
        case Kind::boolean:
            signature.push_back(static_cast<std::uint64_t>(argument == Py_True));
            return PyBool_Check(argument);
        case Kind::integers:
            return append_integers(argument, signature);
        case Kind::optional_integers:
            return append_optional(append_integers, argument, signature);
        case Kind::text:
            return append_text(argument, signature);
    }
    return false;
}

StableIValue to_stable(Kind kind, PyObject* argument) {
    switch (kind) {
        case Kind::tensor:
            return reinterpret_cast<StableIValue>(handle_of(argument));
        case Kind::optional_tensor:
            return argument == Py_None ? from(std::nullopt)
                                       : from(std::optional<torch::stable::Tensor>(
                                             torch::stable::Tensor(handle_of(argument))));
        case Kind::number:
            return from(PyFloat_AS_DOUBLE(argument));
        case Kind::integer:
            return from(integer_of(argument).value_or(0));
        case Kind::boolean:
            return from(argument == Py_True);
        case Kind::integers:
            return from(integers_of(argument).value_or(std::vector<std::int64_t>()));
        case Kind::optional_integers:
            return argument == Py_None ? from(std::nullopt) : from(integers_of(argument));
        case Kind::text:
            return from(std::string(PyUnicode_AsUTF8(argument)));
    }
    return 0;
}

PyObject* take_output(StableIValue output) {
    auto handle = torch::stable::detail::to<AtenTensorHandle>(output);
    PyObject* const tensor = THPVariable_Wrap(*reinterpret_cast<at::TensorBase*>(handle));
    aoti_torch_delete_tensor_object(handle);
    return tensor;
}

}  // namespace ascend_ops::direct_call
