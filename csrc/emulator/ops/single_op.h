// How a kernel of the single-operator (aclop) interface is written.
//
//     SINGLE_OP(Abs) { operands.output(0) = aten("abs", operands.input(0)); }
//
// The body runs on the stream's worker, on CPU tensors that alias the device's memory. It begins
// with its checks: before the call is queued, they run up to the first step that computes, and what
// they refuse fails the call. A file with kernels is compiled without being listed anywhere.
//
// If ATen has the operator, the kernel is a row: inputs go to the schema's arguments in order,
// results to the outputs.
//
//     SINGLE_OP_ATEN(Abs, "abs")
//
// Operands in a private storage format are converted before and after the kernel.
#pragma once

#include <initializer_list>
#include <string>

#include "emulator/aclnn/operation.h"
#include "emulator/interface/single_op_call.h"

namespace ascend_emulator {

/// The operands and attributes of a call.
class SingleOpOperands {
  public:
    explicit SingleOpOperands(const SingleOpCall& call);
    /// An undefined tensor if the caller did not pass the input.
    Tensor input(std::size_t index) const;
    /// An undefined output if the caller did not pass it.
    Out output(std::size_t index) const;
    /// The elements of an input of integers, for example a shape.
    IntList input_ints(std::size_t index) const;
    std::size_t inputs() const { return call_.inputs.size(); }
    std::size_t outputs() const { return call_.outputs.size(); }

    /// Refuse the attributes that are not in the list.
    void accept_attributes(std::initializer_list<const char*> names) const;
    bool flag(const char* name, bool by_default = false) const;
    double number(const char* name, double by_default = 0) const;
    std::string text(const char* name, const char* by_default = "") const;
    IntList ints(const char* name) const;
    DoubleList numbers(const char* name) const;

    /// Write the outputs in a private storage format, after the kernel.
    void store() const;

  private:
    const SingleOpCall& call_;
    mutable TensorList blocked_outputs_;  // contiguous; undefined for the others
};

using SingleOpKernel = void (*)(const SingleOpOperands& operands);

/// Puts a kernel into the table of all kernels.
struct SingleOpRegistration {
    SingleOpRegistration(const char* type, SingleOpKernel kernel);
};

/// Call ATen's operator with the inputs and assign its results to the outputs.
void run_single_op_of_aten(const SingleOpOperands& operands, const char* schema);

}  // namespace ascend_emulator

#define SINGLE_OP_ATEN(TYPE, SCHEMA)                              \
    SINGLE_OP(TYPE) {                                             \
        operands.accept_attributes({});                           \
        ascend_emulator::run_single_op_of_aten(operands, SCHEMA); \
    }

#define SINGLE_OP(TYPE)                                                                            \
    static void TYPE##_kernel(const ascend_emulator::SingleOpOperands& operands);                  \
    static const ascend_emulator::SingleOpRegistration TYPE##_registration(#TYPE, &TYPE##_kernel); \
    static void TYPE##_kernel(const ascend_emulator::SingleOpOperands& operands)
