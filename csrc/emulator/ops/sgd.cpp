// Steps of optimizers for one tensor or many, in fp32.
#include "emulator/aclnn/operation.h"
#include "emulator/ops/checks.h"

using namespace ascend_emulator;

// gradScale divides the gradients, which are written back.
ACLNN(aclnnFusedSgd, InOuts params, InOuts grads, Optional<InOuts> buffers,
      Optional<Tensor> grad_scale, float decay, float momentum, float lr, float dampening,
      bool nesterov, bool maximize, bool is_first) {
    for (std::size_t i = 0; i < params.tensors.size(); ++i) {
        const Tensor& param = params.tensors[i];
        Tensor grad = grads.tensors.at(i).to_float();
        grad = grad_scale.defined() ? grad / grad_scale.to_float() : grad;
        assign(grads.tensors[i], grad);
        grad = (maximize ? -grad : grad) + param.to_float() * decay;
        const bool has_buffer = i < buffers.tensors.size() && buffers.tensors[i].defined() &&
                                buffers.tensors[i].numel() != 0;
        if (has_buffer) {
            const Tensor& buffer = buffers.tensors[i];
            const Tensor moved =
                is_first ? grad : buffer.to_float() * momentum + grad * (1.0 - double{dampening});
            assign(buffer, moved);
            grad = nesterov ? grad + moved * momentum : moved;
        }
        assign(param, param.to_float() - grad * lr);
    }
}

// useLocking concerns other threads.
ACLNN(aclnnApplyAdam, InOut var, InOut m, InOut v, Tensor beta1_power, Tensor beta2_power,
      Tensor lr, Tensor beta1, Tensor beta2, Tensor epsilon, Tensor grad, Unused<bool>,
      bool nesterov) {
    const Tensor wide = grad.to_float();
    const Tensor one_less = -beta1.to_float() + 1.0;
    const Tensor rate = lr.to_float() * aten("sqrt", -beta2_power.to_float() + 1.0) /
                        (-beta1_power.to_float() + 1.0);
    const Tensor first = m.tensor.to_float() * beta1.to_float() + wide * one_less;
    const Tensor second =
        v.tensor.to_float() * beta2.to_float() + wide * wide * (-beta2.to_float() + 1.0);
    const Tensor direction = nesterov ? first * beta1.to_float() + wide * one_less : first;
    var = var.tensor.to_float() - rate * direction / (aten("sqrt", second) + epsilon.to_float());
    m = first;
    v = second;
}
