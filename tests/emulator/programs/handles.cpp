// What the handles of aclnn return about themselves, and the half precision of the host.
#include <cassert>
#include <cmath>
#include <cstring>

#include "acl/acl.h"
#include "aclnn/acl_meta.h"
#include "aclnn/opdev/fp16_t.h"
#include "securec.h"

static void check_tensor() {
    float values[6] = {};
    const int64_t sizes[] = {3, 2}, strides[] = {1, 3}, storage[] = {6};
    aclTensor* tensor =
        aclCreateTensor(sizes, 2, ACL_FLOAT, strides, 4, ACL_FORMAT_ND, storage, 1, values);
    int64_t* found = nullptr;
    uint64_t rank = 0;
    assert(aclGetViewStrides(tensor, &found, &rank) == OK && rank == 2);
    assert(found[0] == 1 && found[1] == 3);
    delete[] found;
    int64_t offset = 0;
    assert(aclGetViewOffset(tensor, &offset) == OK && offset == 4);
    void* data = nullptr;
    assert(aclSetRawTensorAddr(tensor, values + 1) == OK);
    assert(aclGetRawTensorAddr(tensor, &data) == OK && data == values + 1);
    assert(aclInitTensor(tensor, storage, 1, ACL_INT8, nullptr, 0, ACL_FORMAT_ND, storage, 1,
                         values) == OK);
    aclDataType type = ACL_FLOAT;
    assert(aclGetDataType(tensor, &type) == OK && type == ACL_INT8);
    assert(aclGetViewShape(tensor, &found, &rank) == OK && rank == 1 && found[0] == 6);
    delete[] found;
    const aclTensor* members[] = {tensor};
    aclTensorList* list = aclCreateTensorList(members, 1);
    uint64_t count = 0;
    assert(aclGetTensorListSize(list, &count) == OK && count == 1);
    assert(aclDestroyTensorList(list) == OK);
    assert(aclGetViewOffset(tensor, &offset) != OK);  // the list destroyed it
}

static void check_half() {
    assert(op::fp16_t(1.0f).val == 0x3c00 && op::fp16_t(65520.0f).val == 0x7c00);
    assert(op::fp16_t(2049.0f).val == op::fp16_t(2048.0f).val);  // a tie goes to the even one
    assert(op::fp16_t(2051.0f).val == op::fp16_t(2052.0f).val);
    for (unsigned bits = 0; bits < 0x10000; ++bits) {
        const op::fp16_t half(static_cast<uint16_t>(bits));
        const float value = half;
        assert(std::isnan(value) || op::fp16_t(value).val == bits);
    }
}

static void check_bounded_copies() {
    char text[4];
    assert(strcpy_s(text, sizeof text, "abc") == EOK && std::strcmp(text, "abc") == 0);
    assert(strcpy_s(text, sizeof text, "abcd") != EOK && text[0] == '\0');
    assert(memcpy_s(text, sizeof text, "ab", 5) != EOK);
    assert(sprintf_s(text, sizeof text, "%d", 123) == 3);
    assert(sprintf_s(text, sizeof text, "%d", 1234) == -1);
}

int main() {
    assert(aclInit(nullptr) == ACL_SUCCESS);
    check_tensor();
    check_half();
    check_bounded_copies();
    return aclFinalize();
}
