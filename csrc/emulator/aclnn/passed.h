// An argument of an aclnn function as 64 bits.
#pragma once

#include <cstdint>
#include <cstring>

namespace ascend_emulator {

/// An argument as the caller passed it. The code of each function only collects these, because the
/// compiler would spend most of its time on anything more.
struct Passed {
    std::uint64_t bits;

    template <class C>
    static Passed from(C value) {
        Passed passed{};
        const Slot<C> slot{value};
        std::memcpy(&passed.bits, &slot, sizeof slot);
        return passed;
    }
    template <class C>
    C as() const {
        Slot<C> slot;
        std::memcpy(&slot, &bits, sizeof slot);
        return slot.value;
    }

  private:
    template <class C>
    struct Slot {
        C value;
    };
};

}  // namespace ascend_emulator
