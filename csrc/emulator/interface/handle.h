// Handles that know whether they are alive, so that the use of a stale one is reported.
#pragma once

#include <array>
#include <cstdint>
#include <cstdio>
#include <mutex>
#include <string>

namespace ascend_emulator {

enum class HandleKind {
    stream,
    event,
    graph,
    tensor,
    scalar,
    array,
    list,
    executor,
    descriptor,
    communicator,
    physical_memory,
    count
};

inline const char* name_of(HandleKind kind) {
    constexpr const char* names[] = {"stream",     "event",        "graph",          "tensor",
                                     "scalar",     "array",        "list",           "executor",
                                     "descriptor", "communicator", "physical memory"};
    return names[static_cast<int>(kind)];
}

/// Base of what a handle points to. A destroyed object stays allocated for a while (Quarantine).
struct Handle {
    static constexpr std::uint64_t alive = 0x4e50555f616c6976;
    static constexpr std::uint64_t destroyed = 0x4e50555f64656164;

    explicit Handle(HandleKind its_kind) : kind(its_kind) {}

    std::uint64_t state = alive;
    HandleKind kind;
};

inline std::string address_text(const void* address) {
    char text[24];
    std::snprintf(text, sizeof text, "%p", address);
    return text;
}

/// A message about a handle that cannot be used as one of `kind`, or "".
inline std::string why_unusable(const Handle* handle, HandleKind kind) {
    const std::string what = name_of(kind);
    if (handle == nullptr) {
        return "the " + what + " must not be null";
    }
    if (handle->state == Handle::destroyed && handle->kind == kind) {
        return what + " " + address_text(handle) + " was destroyed before this call";
    }
    if (handle->state != Handle::alive || handle->kind != kind) {
        return address_text(handle) + " is not a live " + what;
    }
    return {};
}

/// Keeps the last destroyed objects of a type, so that uses of their handles are recognised.
template <class T, std::size_t capacity = 256>
class Quarantine {
  public:
    /// Mark `object` as destroyed and keep it; the oldest object that is kept is deleted.
    void put(T* object) {
        object->state = Handle::destroyed;
        T* oldest = nullptr;
        {
            const std::lock_guard<std::mutex> lock(mutex_);
            oldest = kept_[next_];
            kept_[next_] = object;
            next_ = (next_ + 1) % capacity;
        }
        delete oldest;
    }

  private:
    std::mutex mutex_;
    std::array<T*, capacity> kept_ = {};
    std::size_t next_ = 0;
};

}  // namespace ascend_emulator
