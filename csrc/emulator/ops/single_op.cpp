// The single-operator path: what torch_npu still sends there on Ascend910B although every aclnn
// function that it looks up exists.
#include "emulator/ops/single_op.h"

#include <algorithm>
#include <unordered_map>

#include "emulator/aclnn/storage_format.h"
#include "emulator/interface/status.h"
#include "emulator/ops/adamw.h"

namespace ascend_emulator {
namespace {

bool is_given(const std::vector<SingleOpTensor>& operands, std::size_t index) {
    return index < operands.size() && operands[index].data_type != ACL_DT_UNDEFINED;
}

aclFormat format_of(const SingleOpTensor& operand) {
    return static_cast<aclFormat>(operand.format);
}

/// A tensor on the operand's memory, which is contiguous and of `sizes`.
Tensor tensor_of(const SingleOpTensor& operand, const IntList& sizes) {
    void* data = operand.host_bytes.empty() ? services().bytes_of(operand.data)
                                            : const_cast<char*>(operand.host_bytes.data());
    return tensor_at(data, sizes, contiguous_strides(sizes),
                     dtype_of(static_cast<aclDataType>(operand.data_type)));
}

Tensor storage_of(const SingleOpTensor& operand) {
    return tensor_of(operand, operand.storage_sizes);
}

void require_known_format(const SingleOpTensor& operand) {
    if (!is_plain(format_of(operand)) && !is_blocked(format_of(operand))) {
        throw NotEmulated("the storage format " + std::to_string(operand.format) +
                          " is not emulated");
    }
}

template <class Attributes>
typename Attributes::mapped_type attribute(const Attributes& attributes, const char* name,
                                           typename Attributes::mapped_type by_default) {
    const auto found = attributes.find(name);
    return found == attributes.end() ? std::move(by_default) : found->second;
}

using Kernels = std::unordered_map<std::string, SingleOpKernel>;

/// Filled while the library is loaded.
Kernels& kernels() {
    static Kernels all;
    return all;
}

class SingleOp : public Task {
  public:
    SingleOp(SingleOpCall call, SingleOpKernel kernel) : call_(std::move(call)), kernel_(kernel) {}
    int run() override {
        try {
            const SingleOpOperands operands(call_);
            kernel_(operands);
            operands.store();
            return 0;
        } catch (const std::exception& error) {
            return services().fail(operator_failure, call_.type + ": " + error.what());
        }
    }
    /// Why the kernel refuses the call, or "".
    std::string why_refused() const {
        try {
            const Rehearsal rehearsal;
            kernel_(SingleOpOperands(call_));
        } catch (const Rehearsal::Computes&) {
            return "";  // it has accepted the operands
        } catch (const std::exception& error) {
            return error.what();
        }
        return "";
    }
    const char* name() const override { return call_.type.c_str(); }

  private:
    SingleOpCall call_;
    SingleOpKernel kernel_;
};

}  // namespace

SingleOpOperands::SingleOpOperands(const SingleOpCall& call)
    : call_(call), blocked_outputs_(call.outputs.size()) {
    for (const auto* operands : {&call.inputs, &call.outputs}) {
        for (std::size_t i = 0; i < operands->size(); ++i) {
            if (is_given(*operands, i)) {
                require_known_format((*operands)[i]);
            }
        }
    }
}
Tensor SingleOpOperands::input(std::size_t index) const {
    if (!is_given(call_.inputs, index)) {
        return {};
    }
    const SingleOpTensor& operand = call_.inputs[index];
    return is_plain(format_of(operand))
               ? tensor_of(operand, operand.sizes)
               : from_storage(storage_of(operand), operand.sizes, format_of(operand));
}
IntList SingleOpOperands::input_ints(std::size_t index) const {
    const Tensor values = input(index).to(DType::int64).contiguous();
    const auto* first = static_cast<const std::int64_t*>(values.data());
    return {first, first + values.numel()};
}
Out SingleOpOperands::output(std::size_t index) const {
    if (!is_given(call_.outputs, index)) {
        return {};
    }
    const SingleOpTensor& operand = call_.outputs[index];
    if (is_plain(format_of(operand))) {
        return {tensor_of(operand, operand.sizes)};
    }
    Tensor& made = blocked_outputs_[index];
    if (!made.defined()) {
        made = full(operand.sizes, Scalar{}, dtype_of(static_cast<aclDataType>(operand.data_type)));
    }
    return {made};
}
void SingleOpOperands::store() const {
    for (std::size_t i = 0; i < blocked_outputs_.size(); ++i) {
        if (blocked_outputs_[i].defined()) {
            const SingleOpTensor& operand = call_.outputs[i];
            assign(storage_of(operand),
                   to_storage(blocked_outputs_[i], operand.storage_sizes, format_of(operand)));
        }
    }
}
void SingleOpOperands::accept_attributes(std::initializer_list<const char*> names) const {
    const auto refuse_others = [&](const auto& attributes) {
        for (const auto& attribute : attributes) {
            if (std::find(names.begin(), names.end(), attribute.first) == names.end()) {
                throw NotEmulated("the attribute " + attribute.first + " is not emulated");
            }
        }
    };
    refuse_others(call_.numbers);
    refuse_others(call_.texts);
    refuse_others(call_.lists);
    refuse_others(call_.number_lists);
    refuse_others(call_.lists_of_lists);
}
bool SingleOpOperands::flag(const char* name, bool by_default) const {
    return number(name, by_default ? 1 : 0) != 0;
}
double SingleOpOperands::number(const char* name, double by_default) const {
    return attribute(call_.numbers, name, by_default);
}
std::string SingleOpOperands::text(const char* name, const char* by_default) const {
    return attribute(call_.texts, name, by_default);
}
IntList SingleOpOperands::ints(const char* name) const { return attribute(call_.lists, name, {}); }
DoubleList SingleOpOperands::numbers(const char* name) const {
    return attribute(call_.number_lists, name, {});
}

void run_single_op_of_aten(const SingleOpOperands& operands, const char* schema) {
    std::vector<Value> inputs;
    inputs.reserve(operands.inputs());
    for (std::size_t i = 0; i < operands.inputs(); ++i) {
        inputs.emplace_back(operands.input(i));
    }
    const TensorList results = call(schema, std::move(inputs));
    for (std::size_t i = 0; i < std::min(results.size(), operands.outputs()); ++i) {
        operands.output(i) = results[i];
    }
}

SingleOpRegistration::SingleOpRegistration(const char* type, SingleOpKernel kernel) {
    kernels().emplace(type, kernel);
}

}  // namespace ascend_emulator

using namespace ascend_emulator;

// var, m, v, beta1_power, beta2_power, lr, weight_decay, beta1, beta2, epsilon, grad
// [, max_grad_norm] -> var, m, v
SINGLE_OP(ApplyAdamW) {
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

EMULATOR_EXPORT int ascend_emulator_single_op(const ascend_emulator::SingleOpCall& call,
                                              void* stream) {
    const auto found = kernels().find(call.type);
    if (found == kernels().end()) {
        return no_such_kernel;
    }
    const auto task = std::make_shared<SingleOp>(call, found->second);
    const std::string problem = task->why_refused();
    return problem.empty() ? services().enqueue(stream, task)
                           : services().fail(ACL_ERROR_INVALID_PARAM, call.type + ": " + problem);
}
