// The wall between the C API and C++: no exception leaves an entry point.
#pragma once

#include <exception>

#include "emulator/interface/services.h"
#include "emulator/interface/status.h"

namespace ascend_emulator {

/// Return what `body` returns or, if it throws, `failed`, with the exception's message noted.
template <class Body, class Result = std::invoke_result_t<Body>>
Result guarded(Body&& body, Result failed = static_cast<Result>(internal_failure)) {
    try {
        return body();
    } catch (const std::exception& error) {
        services().fail(internal_failure, error.what());
    }
    return failed;
}

/// The same for an entry point that returns a pointer, which becomes null.
template <class Body>
auto guarded_pointer(Body&& body) -> std::invoke_result_t<Body> {
    return guarded(std::forward<Body>(body), std::invoke_result_t<Body>(nullptr));
}

/// 0, or the code of a null pointer, with an error noted that names the argument.
inline int check_pointer(const void* pointer, const char* name) {
    return pointer != nullptr
               ? 0
               : services().fail(null_argument, std::string(name) + " must not be null");
}

}  // namespace ascend_emulator
