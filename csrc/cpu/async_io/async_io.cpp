// The library's functions, for ctypes. ascend_ops.async_io wraps them in a class.
#include <cerrno>
#include <cstdint>
#include <memory>
#include <new>
#include <system_error>

#include "cpu/async_io/handle.h"

#define EXPORTED extern "C" __attribute__((visibility("default")))

namespace {

using namespace ascend_ops::async_io;

/// Run `body`, and return 0 or the errno of what it throws.
template <class Body>
int guarded(Body body) noexcept {
    try {
        body();
        return 0;
    } catch (const std::system_error& error) {
        return error.code().value();
    } catch (const std::bad_alloc&) {
        return ENOMEM;
    }
}

}  // namespace

/// Return 0 if the backend works here, else errno.
EXPORTED int async_io_try(int kind, std::int64_t queue_depth) {
    return guarded(
        [&] { make_backend(static_cast<Kind>(kind), static_cast<std::size_t>(queue_depth)); });
}

/// Return a handle, or null and errno in `error`.
EXPORTED void* async_io_open(int kind, std::int64_t block_size, std::int64_t queue_depth,
                             bool single_submit, bool overlap_events, std::int64_t workers,
                             int* error) {
    std::unique_ptr<Handle> handle;
    *error = guarded([&] {
        const Options options{block_size, static_cast<std::size_t>(queue_depth), single_submit,
                              overlap_events};
        handle = std::make_unique<Handle>(options, static_cast<Kind>(kind),
                                          static_cast<std::size_t>(workers));
    });
    return handle.release();
}

/// Complete every transfer and free the handle.
EXPORTED void async_io_close(void* handle) { delete static_cast<Handle*>(handle); }

/// Start a transfer and return its number. The descriptor belongs to it from now on.
EXPORTED std::uint64_t async_io_start(void* handle, bool write, bool validate, bool direct, int fd,
                                      void* data, std::int64_t bytes, std::int64_t offset) {
    const Request request{write, validate, direct, fd, static_cast<char*>(data), bytes, offset};
    return static_cast<Handle*>(handle)->start(request);
}

/// Wait for every transfer. Return how many ended since the last call.
EXPORTED std::int64_t async_io_wait(void* handle) { return static_cast<Handle*>(handle)->wait(); }

/// Take the oldest failure; false if there is none.
EXPORTED bool async_io_next_failure(void* handle, Failure* failure) {
    return static_cast<Handle*>(handle)->next_failure(*failure);
}

EXPORTED void async_io_statistics(void* handle, Statistics* statistics) {
    *statistics = static_cast<Handle*>(handle)->statistics();
}
