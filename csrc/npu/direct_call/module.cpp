// Python calls of NPU kernels without torch's dispatcher; see docs/decisions.md, "Performance".
//
// The dispatcher takes about as long as the kernel's own code on the host. Whatever it would do
// besides finding the kernel is looked for first. The checks of the arguments in Python are only
// bypassed by calls that differ from a checked one in nothing that the checks read.
#include <Python.h>
#include <c10/core/impl/LocalDispatchKeySet.h>

#include <algorithm>
#include <exception>
#include <stdexcept>
#include <unordered_set>
#include <utility>

#include "npu/direct_call/arguments.h"
#include "npu/direct_call/observers.h"

namespace torch {
void translate_exception_to_python(const std::exception_ptr& error);  // torch/csrc/Exceptions.h
}

namespace ascend_ops::direct_call {
namespace {

constexpr const char* capsule_name = "ascend_ops.direct_call";
/// A model calls an op with few signatures, unless its shapes change in every step.
constexpr std::size_t most_signatures = 256;

struct Hash {
    std::size_t operator()(const Signature& signature) const {
        std::uint64_t hash = 0;
        for (const std::uint64_t word : signature) {
            hash = (hash ^ word) * 0x9E3779B97F4A7C15U;
            hash ^= hash >> 32U;
        }
        return hash;
    }
};

/// An op's kernel, and the signatures of the calls that Python has checked.
struct Op {
    void (*kernel)(StableIValue*, std::uint64_t, std::uint64_t);
    std::vector<Kind> kinds;
    std::uint64_t outputs;
    std::uint64_t wanted;
    std::unordered_set<Signature, Hash> checked;
    Signature signature;  ///< of the current call; kept to allocate nothing
};

/// Lets other threads of Python run while the object lives.
class WithoutLock {
  public:
    WithoutLock() : state_(PyEval_SaveThread()) {}
    WithoutLock(const WithoutLock&) = delete;
    WithoutLock& operator=(const WithoutLock&) = delete;
    ~WithoutLock() { PyEval_RestoreThread(state_); }

  private:
    PyThreadState* state_;
};

Op& op_of(PyObject* capsule) {
    return *static_cast<Op*>(PyCapsule_GetPointer(capsule, capsule_name));
}

/// Set the signature of a call; return false if the dispatcher has to see the call.
bool describe(Op& op, PyObject* const* arguments, Py_ssize_t count) {
    op.signature.clear();
    if (static_cast<std::size_t>(count) != op.kinds.size() || !nothing_observes()) {
        return false;
    }
    for (std::size_t i = 0; i < op.kinds.size(); ++i) {
        if (!append_signature(op.kinds[i], arguments[i], op.signature)) {
            return false;
        }
    }
    return true;
}

/// Run the kernel as below autograd; its outputs replace the first values of `stack`.
void run(const Op& op, std::vector<StableIValue>& stack) {
    const WithoutLock unlocked;  // the kernel waits if torch_npu's queue is full
    const c10::impl::ExcludeDispatchKeyGuard below_autograd(c10::autograd_dispatch_keyset);
    op.kernel(stack.data(), op.kinds.size(), op.outputs);
}

/// Return the first output, or a tuple of the first `wanted`.
PyObject* take_outputs(const Op& op, const std::vector<StableIValue>& stack, std::uint64_t wanted) {
    PyObject* const all = PyTuple_New(static_cast<Py_ssize_t>(wanted));
    for (std::uint64_t i = 0; i < op.outputs; ++i) {
        if (all == nullptr || i >= wanted) {
            torch::stable::Tensor(torch::stable::detail::to<AtenTensorHandle>(stack[i]));
        } else {
            PyTuple_SET_ITEM(all, static_cast<Py_ssize_t>(i), take_output(stack[i]));
        }
    }
    if (all == nullptr || wanted > 1) {
        return all;
    }
    PyObject* const first = PyTuple_GET_ITEM(all, 0);
    Py_XINCREF(first);
    Py_DECREF(all);
    return first;
}

PyObject* call_kernel(const Op& op, PyObject* const* arguments, std::uint64_t wanted) {
    try {
        std::vector<StableIValue> stack(std::max<std::size_t>(op.kinds.size(), op.outputs));
        for (std::size_t i = 0; i < op.kinds.size(); ++i) {
            stack[i] = to_stable(op.kinds[i], arguments[i]);
        }
        run(op, stack);
        return take_outputs(op, stack, wanted);
    } catch (...) {
        torch::translate_exception_to_python(std::current_exception());
        return nullptr;
    }
}

/// Let `call` know that the arguments of the current call passed the checks.
void remember(Op& op) {
    if (op.checked.size() >= most_signatures) {
        op.checked.clear();
    }
    op.checked.insert(op.signature);
}

PyObject* call(PyObject* capsule, PyObject* const* arguments, Py_ssize_t count) {
    Op& op = op_of(capsule);
    if (!describe(op, arguments, count) || op.checked.count(op.signature) == 0) {
        Py_RETURN_NONE;
    }
    return call_kernel(op, arguments, op.wanted);
}

PyObject* call_checked(PyObject* capsule, PyObject* const* arguments, Py_ssize_t count) {
    Op& op = op_of(capsule);
    if (!describe(op, arguments, count)) {
        Py_RETURN_NONE;
    }
    if (op.wanted > 0) {
        remember(op);
    }
    return call_kernel(op, arguments, op.outputs);
}

using FastCall = PyObject* (*)(PyObject*, PyObject* const*, Py_ssize_t);

PyMethodDef method(const char* name, FastCall function, const char* description) {
    return {name, reinterpret_cast<PyCFunction>(reinterpret_cast<void (*)()>(function)),
            METH_FASTCALL, description};
}

PyMethodDef methods[] = {
    method("call", call,
           "Return the kernel's first outputs; None if the dispatcher has to see the call, or if "
           "no call with this signature is remembered."),
    method("call_checked", call_checked,
           "Return all of the kernel's outputs, for arguments that passed the checks, and remember "
           "them for call; None if the dispatcher has to see the call."),
};

void destroy(PyObject* capsule) { delete &op_of(capsule); }

/// Return the names in a tuple of str as kinds. Throws std::invalid_argument for another object.
std::vector<Kind> kinds_of(PyObject* names) {
    std::vector<Kind> kinds;
    for (Py_ssize_t i = 0; i < PyTuple_GET_SIZE(names); ++i) {
        const char* const name = PyUnicode_AsUTF8(PyTuple_GET_ITEM(names, i));
        if (name == nullptr) {
            PyErr_Clear();
            throw std::invalid_argument("types must be a tuple of str");
        }
        kinds.push_back(kind_of(name));
    }
    return kinds;
}

PyObject* bind(PyObject* /*module*/, PyObject* arguments) {
    unsigned long long address = 0;
    PyObject* types = nullptr;
    unsigned long long outputs = 0;
    unsigned long long wanted = 0;
    if (PyArg_ParseTuple(arguments, "KO!KK", &address, &PyTuple_Type, &types, &outputs, &wanted) ==
        0) {
        return nullptr;
    }
    std::vector<Kind> kinds;
    try {
        kinds = kinds_of(types);
    } catch (const std::exception& error) {
        PyErr_SetString(PyExc_ValueError, error.what());
        return nullptr;
    }
    // NOLINTNEXTLINE(performance-no-int-to-ptr): Python passes the address on
    auto* const kernel = reinterpret_cast<decltype(Op::kernel)>(address);
    auto* const op = new Op{kernel, std::move(kinds), outputs, wanted, {}, {}};
    PyObject* const capsule = PyCapsule_New(op, capsule_name, destroy);
    if (capsule == nullptr) {
        delete op;
        return nullptr;
    }
    PyObject* const functions = Py_BuildValue("(NN)", PyCFunction_New(&methods[0], capsule),
                                              PyCFunction_New(&methods[1], capsule));
    Py_DECREF(capsule);
    return functions;
}

PyMethodDef module_methods[] = {
    {"bind", bind, METH_VARARGS,
     "bind(address, types, outputs, wanted) -> (call, call_checked): the functions of one op, "
     "whose boxed kernel has this address. Calls are remembered if wanted is not 0."},
    {nullptr, nullptr, 0, nullptr},
};

PyModuleDef module_definition{PyModuleDef_HEAD_INIT,
                              "direct_call",
                              nullptr,
                              -1,
                              module_methods,
                              nullptr,
                              nullptr,
                              nullptr,
                              nullptr};

}  // namespace
}  // namespace ascend_ops::direct_call

PyMODINIT_FUNC PyInit_direct_call() {
    if (!ascend_ops::direct_call::load_types()) {
        return nullptr;
    }
    return PyModule_Create(&ascend_ops::direct_call::module_definition);
}
