// The two phases of aclnn and its handles, called as an operator library calls them.
#include <chrono>
#include <vector>

#include "aclnn_api.h"
#include "check.h"

extern "C" {
int aclnnNegGetWorkspaceSize(const aclTensor*, const aclTensor*, uint64_t*, aclOpExecutor**);
int aclnnNeg(void*, uint64_t, aclOpExecutor*, void*);
int aclnnAbs(void*, uint64_t, aclOpExecutor*, void*);
int aclnnMatmulGetWorkspaceSize(const aclTensor*, const aclTensor*, const aclTensor*, int8_t,
                                uint64_t*, aclOpExecutor**);
int aclnnMatmul(void*, uint64_t, aclOpExecutor*, void*);
}

namespace {

constexpr int64_t sizes[] = {2, 2};

aclTensor* tensor(float* data) {
    return aclCreateTensor(sizes, 2, ACL_FLOAT, nullptr, 0, ACL_FORMAT_ND, sizes, 2, data);
}

struct Operands {
    float* data = device_memory<float>(512);
    aclTensor* in = tensor(data);
    aclTensor* out = tensor(data + 4);

    Operands() {
        const float values[] = {1, 2, 3, 4};
        CHECK_EQUAL(aclrtMemcpy(data, 512, values, 16, ACL_MEMCPY_HOST_TO_DEVICE), 0);
    }
    aclOpExecutor* negate() const {
        aclOpExecutor* executor = nullptr;
        uint64_t workspace = 1;
        CHECK_EQUAL(aclnnNegGetWorkspaceSize(in, out, &workspace, &executor), 0);
        CHECK_EQUAL(workspace, 0);
        return executor;
    }
    float result(int index) const {
        CHECK_EQUAL(aclrtSynchronizeDevice(), 0);
        float value = 0;
        CHECK_EQUAL(aclrtMemcpy(&value, 4, data + 4 + index, 4, ACL_MEMCPY_DEVICE_TO_HOST), 0);
        return value;
    }
};

}  // namespace

TEST(two_phases_compute_and_handles_may_go_after_phase_two) {
    begin();
    const Operands operands;
    CHECK_EQUAL(aclnnNeg(nullptr, 0, operands.negate(), nullptr), 0);
    CHECK_EQUAL(aclDestroyTensor(operands.in), 0);
    CHECK_EQUAL(aclDestroyTensor(operands.out), 0);
    CHECK(operands.result(3) == -4);
}

TEST(an_executor_is_good_for_one_launch) {
    begin();
    const Operands operands;
    aclOpExecutor* executor = operands.negate();
    CHECK_EQUAL(aclnnNeg(nullptr, 0, executor, nullptr), 0);
    CHECK_REFUSED(aclnnNeg(nullptr, 0, executor, nullptr), 161002,
                  "was launched before; make a new one for each launch");
}

TEST(a_repeatable_executor_is_good_for_many) {
    begin();
    const Operands operands;
    aclOpExecutor* executor = operands.negate();
    CHECK_EQUAL(aclSetAclOpExecutorRepeatable(executor), 0);
    CHECK_EQUAL(aclnnNeg(nullptr, 0, executor, nullptr), 0);
    CHECK_EQUAL(aclnnNeg(nullptr, 0, executor, nullptr), 0);
    CHECK_EQUAL(aclDestroyAclOpExecutor(executor), 0);
    CHECK(operands.result(0) == -1);
}

TEST(an_executor_of_another_operator_is_refused) {
    begin();
    const Operands operands;
    CHECK_REFUSED(aclnnAbs(nullptr, 0, operands.negate(), nullptr), 161002,
                  "the executor must be one of aclnnAbs, got one of aclnnNeg");
}

TEST(a_workspace_that_is_too_small_is_refused) {
    begin();
    const Operands operands;
    aclOpExecutor* executor = nullptr;
    uint64_t workspace = 0;
    CHECK_EQUAL(aclnnMatmulGetWorkspaceSize(operands.in, operands.in, operands.out, 1, &workspace,
                                            &executor),
                0);
    CHECK_EQUAL(workspace, 1024);
    void* memory = device_memory(512);
    CHECK_REFUSED(aclnnMatmul(memory, 512, executor, nullptr), 161002,
                  "the workspace must have the bytes that phase 1 returned, 1024, got 512");
    CHECK_REFUSED(aclnnMatmul(nullptr, 1024, executor, nullptr), 161002, "1024, got 0");
    CHECK_REFUSED(aclnnMatmul(memory, 1024, executor, nullptr), 161002, "reach past the end");
    CHECK_EQUAL(aclnnMatmul(device_memory(1024), 1024, executor, nullptr), 0);
    CHECK(operands.result(0) == 7);
}

TEST(a_tensor_that_was_destroyed_is_refused) {
    begin();
    const Operands operands;
    CHECK_EQUAL(aclDestroyTensor(operands.in), 0);
    aclOpExecutor* executor = nullptr;
    uint64_t workspace = 0;
    CHECK_REFUSED(aclnnNegGetWorkspaceSize(operands.in, operands.out, &workspace, &executor),
                  161002, "argument 0: tensor 0x");
}

TEST(a_tensor_that_was_destroyed_cannot_be_queried) {
    begin();
    const Operands operands;
    aclDataType type = ACL_DT_UNDEFINED;
    aclFormat format = ACL_FORMAT_UNDEFINED;
    CHECK_EQUAL(aclGetDataType(operands.in, &type), 0);
    CHECK_EQUAL(type, ACL_FLOAT);
    CHECK_EQUAL(aclDestroyTensor(operands.in), 0);
    CHECK_REFUSED(aclGetDataType(operands.in, &type), 161002, "was destroyed before this call");
    CHECK_REFUSED(aclGetFormat(nullptr, &format), 161002, "the tensor must not be null");
}

TEST(a_fault_delays_phase_one) {  // run with aclnnNegGetWorkspaceSize:1:delay=80
    begin();
    const Operands operands;
    const auto began = std::chrono::steady_clock::now();
    operands.negate();
    CHECK(std::chrono::steady_clock::now() - began >= std::chrono::milliseconds(80));
}

TEST(an_operand_in_freed_memory_is_refused) {
    begin();
    const Operands operands;
    aclOpExecutor* executor = operands.negate();
    CHECK_EQUAL(aclrtFree(operands.data), 0);
    CHECK_REFUSED(aclnnNeg(nullptr, 0, executor, nullptr), 161002, "is freed memory");
}

TEST(an_operator_that_fails_is_reported_at_the_next_synchronise) {
    begin();
    const Operands operands;
    const int64_t other[] = {3, 1};
    aclTensor* odd =
        aclCreateTensor(other, 2, ACL_FLOAT, nullptr, 0, ACL_FORMAT_ND, other, 2, operands.data);
    aclOpExecutor* executor = nullptr;
    uint64_t workspace = 0;
    CHECK_EQUAL(
        aclnnMatmulGetWorkspaceSize(operands.in, odd, operands.out, 1, &workspace, &executor), 0);
    CHECK_EQUAL(aclnnMatmul(device_memory(1024), 1024, executor, nullptr), 0);
    CHECK_REFUSED(aclrtSynchronizeDevice(), 561103, "aclnnMatmul: ");
}

TEST(an_unused_executor_and_tensors_are_leaks) {
    begin();
    const Operands operands;
    operands.negate();
}

TEST(a_thousand_handles_lose_nothing) {
    begin();
    float* data = device_memory<float>(512);
    for (int i = 0; i < 1000; ++i) {
        aclTensor* in = tensor(data);
        aclOpExecutor* executor = nullptr;
        uint64_t workspace = 0;
        CHECK_EQUAL(aclnnNegGetWorkspaceSize(in, in, &workspace, &executor), 0);
        CHECK_EQUAL(aclDestroyAclOpExecutor(executor), 0);
        float value = 1;
        aclScalar* scalar = aclCreateScalar(&value, ACL_FLOAT);
        aclTensorList* tensors = aclCreateTensorList(&in, 1);
        aclScalarList* scalars = aclCreateScalarList(&scalar, 1);
        const bool flag = true;
        CHECK_EQUAL(aclDestroyTensorList(tensors), 0);  // destroys its members as well
        CHECK_EQUAL(aclDestroyScalarList(scalars), 0);
        CHECK_EQUAL(aclDestroyScalar(aclCreateScalar(&value, ACL_FLOAT)), 0);
        CHECK_EQUAL(aclDestroyTensor(tensor(data)), 0);
        CHECK_EQUAL(aclDestroyIntArray(aclCreateIntArray(sizes, 2)), 0);
        CHECK_EQUAL(aclDestroyFloatArray(aclCreateFloatArray(&value, 1)), 0);
        CHECK_EQUAL(aclDestroyBoolArray(aclCreateBoolArray(&flag, 1)), 0);
    }
    CHECK_EQUAL(aclrtFree(data), 0);
}
