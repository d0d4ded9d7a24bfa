// The older single-operator calls: their descriptors, and an operator that is not emulated.
#include <acl/acl_op_compiler.h>

#include "check.h"

namespace {

constexpr int64_t sizes[] = {4};

aclTensorDesc* descriptor() { return aclCreateTensorDesc(ACL_FLOAT, 1, sizes, ACL_FORMAT_ND); }

int run(const char* name, const aclTensorDesc* described) {
    const aclDataBuffer* inputs[] = {nullptr};
    aclDataBuffer* outputs[] = {nullptr};
    return aclopCompileAndExecute(name, 1, &described, inputs, 1, &described, outputs, nullptr,
                                  ACL_ENGINE_SYS, ACL_COMPILE_SYS, nullptr, nullptr);
}

}  // namespace

TEST(a_descriptor_that_was_destroyed_is_recognised) {
    begin();
    aclTensorDesc* described = descriptor();
    aclDestroyTensorDesc(described);
    CHECK_REFUSED(run("Anything", described), 100000,
                  "aclopCompileAndExecute: operand 0: descriptor 0x");
    CHECK_REFUSED(run("Anything", nullptr), 100000, "the descriptor must not be null");
}

TEST(the_error_of_a_missing_single_operator_names_the_file_to_extend) {
    begin();
    aclTensorDesc* described = descriptor();
    CHECK_REFUSED(run("Anything", described), 100024, "csrc/emulator/ops/single_op");
    aclDestroyTensorDesc(described);
}

TEST(a_descriptor_that_is_left_is_a_leak) {
    begin();
    descriptor();
}

TEST(a_thousand_descriptors_lose_nothing) {
    begin();
    for (int i = 0; i < 1000; ++i) {
        aclDestroyTensorDesc(descriptor());
        aclopDestroyAttr(aclopCreateAttr());
        CHECK_EQUAL(aclDestroyDataBuffer(aclCreateDataBuffer(nullptr, 0)), 0);
    }
}
