// A single-operator (aclop) call, handed from libacl_op_compiler to the kernels in libopapi.
//
// torch_npu takes this older path where an aclnn function is missing, and for a few operators that
// have none.
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
    void* data = nullptr;
    std::vector<char> host_bytes;  // a copy, of an operand that lies on the host
};

struct SingleOpCall {
    std::string type;
    std::vector<SingleOpTensor> inputs;
    std::vector<SingleOpTensor> outputs;
    std::map<std::string, double> numbers;
    std::map<std::string, std::string> texts;
    std::map<std::string, std::vector<std::int64_t>> lists;
};

/// Exported by libopapi as ascend_emulator_single_op: 0 or a code; `no_such_kernel` for a type
/// that has none.
using SingleOpRunner = int (*)(const SingleOpCall& call, void* stream);
constexpr int no_such_kernel = -1;

}  // namespace ascend_emulator
