// One optimizer's kernels of one instruction set, compiled alone to count their instructions.
//
// KERNELS is the source file of the instruction set, TABLE the table that it defines.
#include <cstddef>
#include <cstdint>
#include <vector>

#include KERNELS

namespace ascend_ops {
namespace {

// Disable the l2 penalty of Adam and Adagrad's weight decay, as in the measured cases.
template <class C>
auto clear_flags(C& c, int) -> decltype(void(c.has_l2_penalty = false)) {
    c.has_l2_penalty = false;
}
template <class C>
auto clear_flags(C& c, long) -> decltype(void(c.has_weight_decay = false)) {
    c.has_weight_decay = false;
}
template <class C>
void clear_flags(C&, ...) {}

// Return numbers that result in neither zeros nor infinities. The number of instructions does not
// depend on them. A step is plain if nothing changes its gradient, as an offload step does.
Coefficients some_coefficients(bool is_plain) {
    float values[sizeof(Formula::Coefficients) / sizeof(float)];
    for (float& value : values) {
        value = 0.5f;
    }
    Formula::Coefficients c;
    __builtin_memcpy(&c, values, sizeof c);
    clear_flags(c, 0);
    c.is_plain = is_plain;
    return Coefficients(c);
}

// Every array has this many elements, so that filling it always takes the same instructions.
constexpr std::size_t capacity = 1 << 16;

const Plan* plan;
const Tensors* tensors;

}  // namespace
}  // namespace ascend_ops

// callgrind counts the instructions in this function.
extern "C" [[gnu::noinline, gnu::used]] double ascend_ops_counted(std::int64_t count, bool norm) {
    using namespace ascend_ops;
    double sum = 0.0;
    if (norm) {
        sum = TABLE.square_sum[static_cast<int>(plan->dtypes.grads)](tensors->grads, count);
    }
    run_plan(*plan, *tensors, 0, count);
    return sum;
}

/// Dtypes are values of DType; at most 65,536 elements. Return false if the library lacks the
/// kernel.
extern "C" [[gnu::visibility("default")]] bool ascend_ops_run_kernel(int params, int grads,
                                                                     int states, int copies,
                                                                     std::int64_t count,
                                                                     bool norm) {
    using namespace ascend_ops;
    // Bytes of 0x3c: 0.0115 in fp32 and bf16, 1.06 in fp16.
    std::vector<std::vector<unsigned char>> arrays(5,
                                                   std::vector<unsigned char>(4 * capacity, 0x3c));
    const Tensors all = {
        arrays[0].data(), arrays[1].data(), {arrays[2].data(), arrays[3].data()}, arrays[4].data()};
    Plan made;
    made.kernel = TABLE.step[params][grads][states][copies];
    made.coefficients = some_coefficients(!norm);
    made.dtypes = {static_cast<DType>(params), static_cast<DType>(grads),
                   static_cast<DType>(states), static_cast<DType>(copies)};
    if (made.kernel == nullptr || count > static_cast<std::int64_t>(capacity)) {
        return false;
    }
    plan = &made;
    tensors = &all;
    ascend_ops_counted(count, norm);
    return true;
}
