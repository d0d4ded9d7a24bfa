// A single-operator (aclop) call, as libacl_op_compiler hands it to the kernels in libopapi.
//
// torch_npu takes this older path if an aclnn function is missing, and for a few operators without
// one.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

namespace ascend_emulator {

struct SingleOpTensor {
    std::string name;
    int data_type = -1;  // aclDataType
    std::vector<std::int64_t> sizes;
    int format = -1;                          // aclFormat
    std::vector<std::int64_t> storage_sizes;  // of a private format; else empty
    void* data = nullptr;
    std::vector<char> host_bytes;  // a copy, if the operand is in host memory
};

struct SingleOpCall {
    std::string type;
    std::vector<SingleOpTensor> inputs;
    std::vector<SingleOpTensor> outputs;
    std::map<std::string, double> numbers;
    std::map<std::string, std::string> texts;
    std::map<std::string, std::vector<std::int64_t>> lists;
    std::map<std::string, std::vector<double>> number_lists;
    std::map<std::string, std::vector<std::vector<std::int64_t>>> lists_of_lists;
};

/// Exported by libopapi as ascend_emulator_single_op. Returns 0 or a code, `no_such_kernel` if
/// the type has no kernel.
using SingleOpRunner = int (*)(const SingleOpCall& call, void* stream);
constexpr int no_such_kernel = -1;

}  // namespace ascend_emulator
