// The Python module acl_runtime. Addresses and handles are integers here; ascend_ops.acl wraps them
// in typed objects. Only this file includes pybind11, whose headers take most of the build time.
//
// No call holds the GIL: some wait for a device, and others for the lock of one that does.
#include <pybind11/pybind11.h>

#include "acl/copy.h"
#include "acl/pinned_pool.h"
#include "acl/runtime.h"
#include "acl/stream.h"

namespace py = pybind11;

namespace ascend_ops::acl {
namespace {

using Number = std::uintptr_t;
using NoGil = py::call_guard<py::gil_scoped_release>;

void* pointer(Number number) {
    return reinterpret_cast<void*>(number);  // NOLINT(performance-no-int-to-ptr): Python's
}

Number number(const void* pointer) { return reinterpret_cast<Number>(pointer); }

/// A pinned block that every view of the memory holds; the last one returns it to the pool.
class PinnedBuffer {
  public:
    PinnedBuffer(std::size_t bytes, int device)
        : bytes_(bytes), block_(pinned_pool().allocate(bytes, device)) {}
    ~PinnedBuffer() { pinned_pool().release(block_); }
    PinnedBuffer(const PinnedBuffer&) = delete;
    PinnedBuffer& operator=(const PinnedBuffer&) = delete;

    void* address() const { return block_->address; }
    std::size_t bytes() const { return bytes_; }
    std::size_t capacity() const { return block_->capacity; }

  private:
    std::size_t bytes_;
    PinnedPool::Block* block_;
};

Stream* new_stream(int device, unsigned priority) {
    const py::gil_scoped_release release;
    return new Stream(device, priority);
}

/// A stream waits for its work when it is destroyed, so its deleter releases the GIL. A factory is
/// bound without NoGil, because pybind11 registers what it returns before that guard ends.
std::shared_ptr<Stream> make_stream(int device, unsigned priority) {
    return {new_stream(device, priority), [](Stream* stream) {
                if (PyGILState_Check() != 0) {
                    const py::gil_scoped_release release;
                    delete stream;
                } else {
                    delete stream;
                }
            }};
}

py::dict pool_statistics() {
    PoolStatistics found;
    {
        const py::gil_scoped_release release;
        found = pinned_pool().statistics();
    }
    py::dict dict;
    dict["bytes_in_use"] = found.in_use;
    dict["bytes_waiting"] = found.waiting;
    dict["bytes_cached"] = found.cached;
    dict["bytes_peak"] = found.peak;
    dict["blocks"] = found.blocks;
    dict["blocks_pinned"] = found.pinned;
    dict["blocks_reused"] = found.reused;
    return dict;
}

/// Runs before torch_npu finalises the device, after which AscendCL must not be called.
void shut_down() {
    if (is_usable()) {
        pinned_pool().drain();
        Owned::close_all();
    }
    close_runtime();
}

void bind_memory(py::module_& module) {
    py::class_<PinnedBuffer>(module, "PinnedBuffer", py::buffer_protocol())
        .def(py::init<std::size_t, int>(), NoGil(), py::arg("bytes"), py::arg("device"))
        .def_property_readonly("address",
                               [](const PinnedBuffer& self) { return number(self.address()); })
        .def_property_readonly("nbytes", &PinnedBuffer::bytes)
        .def_property_readonly("capacity", &PinnedBuffer::capacity)
        .def_buffer([](PinnedBuffer& self) {
            return py::buffer_info(static_cast<std::uint8_t*>(self.address()),
                                   static_cast<py::ssize_t>(self.bytes()));
        });
    module.def(
        "is_pooled",
        [](Number address, std::size_t bytes) {
            return pinned_pool().find(pointer(address), bytes) != nullptr;
        },
        NoGil());
    module.def("empty_cache", [] { pinned_pool().empty_cache(); }, NoGil());
    module.def("reset_peak", [] { pinned_pool().reset_peak(); }, NoGil());
    module.def("pool_statistics", &pool_statistics);
}

void bind_streams(py::module_& module) {
    py::class_<Stream, std::shared_ptr<Stream>>(module, "Stream")
        .def(py::init(&make_stream), py::arg("device"), py::arg("priority"))
        .def_property_readonly("handle", [](const Stream& self) { return number(self.handle()); });
    py::class_<Event, std::shared_ptr<Event>>(module, "Event")
        .def(py::init<int, bool>(), NoGil(), py::arg("device"), py::arg("timing"))
        .def_property_readonly("device", &Event::device)
        .def(
            "record", [](Event& self, Number stream) { self.record(pointer(stream)); }, NoGil())
        .def("query", &Event::query, NoGil())
        .def("synchronize", &Event::synchronize, NoGil())
        .def("elapsed_time", &Event::elapsed_time, NoGil());
    module.def(
        "synchronize_stream",
        [](Number stream, int device) { synchronize_stream(pointer(stream), device); }, NoGil());
    module.def(
        "query_stream",
        [](Number stream, int device) { return query_stream(pointer(stream), device); }, NoGil());
    module.def(
        "wait_event",
        [](Number stream, int device, const Event& event) {
            wait_event(pointer(stream), device, event);
        },
        NoGil());
}

void bind_copies(py::module_& module) {
    module.def(
        "copy_async",
        [](Number to, Number from, std::size_t bytes, int direction, Number stream, int device) {
            return copy_async(pointer(to), pointer(from), bytes, static_cast<Direction>(direction),
                              pointer(stream), device);
        },
        NoGil());
    module.def(
        "record_stream",
        [](Number address, std::size_t bytes, Number stream, int device) {
            return record_stream(pointer(address), bytes, pointer(stream), device);
        },
        NoGil());
}

void bind_device(py::module_& module) {
    module.def("device_count", &device_count, NoGil());
    module.def("soc_name", &soc_name, NoGil());
    module.def("runtime_version", &runtime_version, NoGil());
    module.def("cann_version", &cann_version, NoGil());
    module.def("memory_info", [](int device) {
        Memory memory{};
        {
            const py::gil_scoped_release release;
            memory = memory_info(device);
        }
        return py::make_tuple(memory.free, memory.total);
    });
    module.def("shut_down", &shut_down, NoGil());
}

}  // namespace
}  // namespace ascend_ops::acl

PYBIND11_MODULE(TORCH_EXTENSION_NAME, module) {
    using namespace ascend_ops::acl;
    pybind11::register_exception<Error>(module, "AclError", PyExc_RuntimeError);
    bind_memory(module);
    bind_streams(module);
    bind_copies(module);
    bind_device(module);
}
