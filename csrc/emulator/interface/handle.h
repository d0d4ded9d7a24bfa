// Handles that know whether they are alive, so that the use of a stale one is reported.
#pragma once

#include <sys/mman.h>

#include <atomic>
#include <cstdint>
#include <cstdio>
#include <mutex>
#include <new>
#include <string>
#include <utility>

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
    data_buffer,
    attribute,
    option,
    context,
    notify,
    task_group,
    profile_config,
    stream_config,
    count
};

inline const char* name_of(HandleKind kind) {
    constexpr const char* names[] = {"stream",
                                     "event",
                                     "graph",
                                     "tensor",
                                     "scalar",
                                     "array",
                                     "list",
                                     "executor",
                                     "descriptor",
                                     "communicator",
                                     "physical memory",
                                     "data buffer",
                                     "attribute",
                                     "option",
                                     "context",
                                     "notify",
                                     "task group",
                                     "profile configuration",
                                     "stream configuration"};
    return names[static_cast<int>(kind)];
}

inline std::string address_text(const void* address) {
    char text[24];
    std::snprintf(text, sizeof text, "%p", address);
    return text;
}

enum class HandleState : std::uint32_t { none, alive, destroyed };

/// The objects behind the handles of one type, in a range of addresses of their own: any address
/// can be looked up without being dereferenced. A destroyed object's place is reused late, so that
/// uses of its handle are recognised.
template <class T>
class HandlePool {
  public:
    /// Never destroyed: workers outlive main.
    static HandlePool& instance() {
        static auto* const pool = new HandlePool;
        return *pool;
    }

    template <class... Arguments>
    T* make(Arguments&&... arguments) {
        Slot* slot = take();
        try {
            T* object = new (slot->object) T(std::forward<Arguments>(arguments)...);
            slot->state.store(HandleState::alive, std::memory_order_release);
            return object;
        } catch (...) {
            give_back(slot);
            throw;
        }
    }

    void destroy(const T* object) {
        Slot* slot = slots_ + index_of(object);
        slot->state.store(HandleState::destroyed, std::memory_order_release);
        const_cast<T*>(object)->~T();
        give_back(slot);
    }

    HandleState state_of(const void* address) const {
        const std::size_t index = index_of(address);
        return index < capacity && slots_[index].object == address
                   ? slots_[index].state.load(std::memory_order_acquire)
                   : HandleState::none;
    }

  private:
    static constexpr std::size_t capacity = 1 << 20;
    static constexpr std::size_t kept_destroyed = 256;

    struct Slot {
        alignas(T) unsigned char object[sizeof(T)];
        std::atomic<HandleState> state;
        Slot* next;
    };

    HandlePool() {
        void* memory = mmap(nullptr, capacity * sizeof(Slot), PROT_READ | PROT_WRITE,
                            MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
        if (memory == MAP_FAILED) {
            throw std::bad_alloc();
        }
        slots_ = static_cast<Slot*>(memory);
    }

    std::size_t index_of(const void* address) const {
        return (reinterpret_cast<std::uintptr_t>(address) -
                reinterpret_cast<std::uintptr_t>(slots_)) /
               sizeof(Slot);
    }

    Slot* take() {
        const std::lock_guard<std::mutex> lock(mutex_);
        if (free_count_ > kept_destroyed || (used_ == capacity && free_count_ != 0)) {
            Slot* slot = oldest_;
            oldest_ = slot->next;
            --free_count_;
            return slot;
        }
        if (used_ == capacity) {
            throw std::bad_alloc();
        }
        return slots_ + used_++;
    }

    void give_back(Slot* slot) {
        const std::lock_guard<std::mutex> lock(mutex_);
        slot->next = nullptr;
        (free_count_++ == 0 ? oldest_ : newest_->next) = slot;
        newest_ = slot;
    }

    Slot* slots_ = nullptr;
    std::mutex mutex_;
    std::size_t used_ = 0;
    std::size_t free_count_ = 0;
    Slot* oldest_ = nullptr;
    Slot* newest_ = nullptr;
};

template <class T, class... Arguments>
T* make_handle(Arguments&&... arguments) {
    return HandlePool<T>::instance().make(std::forward<Arguments>(arguments)...);
}

template <class T>
void destroy_handle(const T* handle) {
    HandlePool<T>::instance().destroy(handle);
}

/// A message about a handle that cannot be used as a T, or "".
template <class T>
std::string why_unusable(const T* handle) {
    const HandleState state = HandlePool<T>::instance().state_of(handle);
    if (state == HandleState::alive) {
        return {};
    }
    const std::string what = name_of(T::handle_kind);
    if (handle == nullptr) {
        return "the " + what + " must not be null";
    }
    return state == HandleState::destroyed
               ? what + " " + address_text(handle) + " was destroyed before this call"
               : address_text(handle) + " is not a live " + what;
}

}  // namespace ascend_emulator
