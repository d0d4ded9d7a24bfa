// Kernels of the single-operator path: what torch_npu still sends there on Ascend910B although
// every aclnn function that it looks up exists.
#include "emulator/interface/single_op_call.h"

#include <unordered_map>

#include "emulator/aclnn/operation.h"
#include "emulator/interface/status.h"
#include "emulator/ops/adamw.h"

namespace ascend_emulator {
namespace {

class Operands {
  public:
    explicit Operands(const SingleOpCall& call) : call_(call) {}
    Tensor input(std::size_t index) const { return tensor(call_.inputs.at(index)); }
    Out output(std::size_t index) const { return {tensor(call_.outputs.at(index))}; }
    bool flag(const char* name) const {
        const auto found = call_.numbers.find(name);
        return found != call_.numbers.end() && found->second != 0;
    }

  private:
    static Tensor tensor(const SingleOpTensor& operand) {
        const auto type = static_cast<aclDataType>(operand.data_type);
        if (type == ACL_DT_UNDEFINED) {
            return {};
        }
        void* data = operand.host_bytes.empty() ? services().bytes_of(operand.data)
                                                : const_cast<char*>(operand.host_bytes.data());
        return tensor_at(data, operand.sizes, contiguous_strides(operand.sizes), dtype_of(type));
    }

    const SingleOpCall& call_;
};

// var, m, v, beta1_power, beta2_power, lr, weight_decay, beta1, beta2, epsilon, grad
// [, max_grad_norm] -> var, m, v
void apply_adamw(const Operands& operands) {
    AdamW adamw;
    adamw.beta1_power = operands.input(3).item();
    adamw.beta2_power = operands.input(4).item();
    adamw.lr = operands.input(5).item();
    adamw.weight_decay = operands.input(6).item();
    adamw.beta1 = operands.input(7).item();
    adamw.beta2 = operands.input(8).item();
    adamw.eps = operands.input(9).item();
    adamw.maximize = operands.flag("maximize");
    const Out var{operands.input(0)};
    const Out exp_avg{operands.input(1)};
    const Out exp_avg_sq{operands.input(2)};
    adamw.step(var, exp_avg, exp_avg_sq, Out(), operands.input(10));
    operands.output(0) = var.tensor;
    operands.output(1) = exp_avg.tensor;
    operands.output(2) = exp_avg_sq.tensor;
}

using Kernel = void (*)(const Operands&);

Kernel kernel_of(const std::string& type) {
    static const std::unordered_map<std::string, Kernel> kernels = {{"ApplyAdamW", apply_adamw}};
    const auto found = kernels.find(type);
    return found == kernels.end() ? nullptr : found->second;
}

class SingleOp : public Task {
  public:
    SingleOp(SingleOpCall call, Kernel kernel) : call_(std::move(call)), kernel_(kernel) {}
    int run() override {
        try {
            kernel_(Operands(call_));
            return 0;
        } catch (const std::exception& error) {
            return services().fail(operator_failure, error.what());
        }
    }
    const char* name() const override { return call_.type.c_str(); }

  private:
    SingleOpCall call_;
    Kernel kernel_;
};

}  // namespace
}  // namespace ascend_emulator

EMULATOR_EXPORT int ascend_emulator_single_op(const ascend_emulator::SingleOpCall& call,
                                              void* stream) {
    using namespace ascend_emulator;
    const Kernel kernel = kernel_of(call.type);
    return kernel == nullptr ? no_such_kernel
                             : services().enqueue(stream, std::make_shared<SingleOp>(call, kernel));
}
