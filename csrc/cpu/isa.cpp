#include "cpu/isa.h"

#include <atomic>
#include <cstring>

#if defined(__x86_64__)
#include <cpuid.h>
#elif defined(__linux__) && (defined(__aarch64__) || defined(__riscv))
#include <sys/auxv.h>
#include <sys/prctl.h>
#endif

namespace ascend_ops {
namespace {

#if defined(__x86_64__)
// GCC's __builtin_cpu_supports knows "f16c" from version 11 on, the other names below from 9 on.
bool detect_f16c() {
    unsigned eax = 0;
    unsigned ebx = 0;
    unsigned ecx = 0;
    unsigned edx = 0;
    return __get_cpuid(1, &eax, &ebx, &ecx, &edx) != 0 && (ecx & bit_F16C) != 0;
}

// Memoized: in a virtual machine every CPUID traps, which takes about 10 microseconds.
// __builtin_cpu_supports also reads XGETBV, so it is false if the system does not save a register.
bool cpu_has_avx2() {
    static const bool has =
        __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") && detect_f16c();
    return has;
}

bool cpu_has_avx512() {
    static const bool has =
        cpu_has_avx2() && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
        __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl");
    return has;
}

// GCC's __builtin_cpu_supports knows "avx512bf16" from version 10 on.
bool detect_avx512_bf16() {
    constexpr unsigned bit_avx512_bf16 = 1u << 5;
    unsigned eax = 0;
    unsigned ebx = 0;
    unsigned ecx = 0;
    unsigned edx = 0;
    return __get_cpuid_count(7, 1, &eax, &ebx, &ecx, &edx) != 0 && (eax & bit_avx512_bf16) != 0;
}

bool cpu_has_avx512_bf16() {
    static const bool has = cpu_has_avx512() && detect_avx512_bf16();
    return has;
}
#elif defined(__linux__) && defined(__aarch64__)
// The vector length of this thread, which new threads inherit; 0 without SVE.
unsigned long sve_bytes() {
    constexpr unsigned long hwcap_sve = 1ul << 22;
    constexpr int pr_sve_get_vl = 51;
    constexpr int length_mask = 0xffff;
    if ((getauxval(AT_HWCAP) & hwcap_sve) == 0) {
        return 0;
    }
    const int length = prctl(pr_sve_get_vl, 0, 0, 0, 0);
    return length < 0 ? 0 : static_cast<unsigned long>(length & length_mask);
}

// The kernels need a power of two, which the architecture requires since 2021.
bool cpu_has_sve() {
    static const bool has = sve_bytes() != 0 && (sve_bytes() & (sve_bytes() - 1)) == 0;
    return has;
}
#elif defined(__linux__) && defined(__riscv)
bool cpu_has_rvv() { return (getauxval(AT_HWCAP) & (1ul << ('V' - 'A'))) != 0; }
#endif

std::atomic<Isa>& current() {
    static std::atomic<Isa> isa{best_isa()};
    return isa;
}

}  // namespace

const char* isa_name(Isa isa) {
    constexpr const char* names[] = {
#define ASCEND_OPS_ISA(name, lower) #name,
        ASCEND_OPS_ISAS(ASCEND_OPS_ISA)
#undef ASCEND_OPS_ISA
    };
    return names[static_cast<int>(isa)];
}

const char* isa_names() {
#define ASCEND_OPS_ISA(name, lower) ", " #name
    constexpr const char* names = ASCEND_OPS_ISAS(ASCEND_OPS_ISA);
#undef ASCEND_OPS_ISA
    return names + std::strlen(", ");
}

bool parse_isa(const char* name, Isa* isa) {
    for (const Isa candidate : all_isas) {
        if (std::strcmp(name, isa_name(candidate)) == 0) {
            *isa = candidate;
            return true;
        }
    }
    return false;
}

bool cpu_supports(Isa isa) {
    switch (isa) {
        case Isa::scalar:
            return true;
#if defined(__x86_64__)
        case Isa::avx2:
            return cpu_has_avx2();
        case Isa::avx512:
            return cpu_has_avx512();
        case Isa::avx512_bf16:
            return cpu_has_avx512_bf16();
#elif defined(__aarch64__)
        case Isa::neon:  // part of the aarch64 baseline
            return true;
#if defined(__linux__)
        case Isa::sve:
            return cpu_has_sve();
#endif
#elif defined(__linux__) && defined(__riscv)
        case Isa::rvv:
            return cpu_has_rvv();
#endif
        default:
            return false;
    }
}

Isa next_lower(Isa isa) {
    constexpr Isa lower_isas[] = {
#define ASCEND_OPS_ISA(name, lower) Isa::lower,
        ASCEND_OPS_ISAS(ASCEND_OPS_ISA)
#undef ASCEND_OPS_ISA
    };
    return lower_isas[static_cast<int>(isa)];
}

Isa best_isa() {
    Isa best = Isa::scalar;
    for (const Isa candidate : all_isas) {
        if (cpu_supports(candidate)) {
            best = candidate;
        }
    }
    return best;
}

Isa current_isa() { return current().load(std::memory_order_relaxed); }

bool set_current_isa(Isa isa) {
    if (!cpu_supports(isa)) {
        return false;
    }
    current().store(isa, std::memory_order_relaxed);
    return true;
}

}  // namespace ascend_ops
