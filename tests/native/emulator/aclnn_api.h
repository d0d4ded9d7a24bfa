// The handles and executors of aclnn, for tests that need none of its operator headers.
#pragma once

#include <cstdint>

#include "check.h"

struct aclTensor;
struct aclOpExecutor;

extern "C" {
aclTensor* aclCreateTensor(const int64_t*, uint64_t, aclDataType, const int64_t*, int64_t,
                           aclFormat, const int64_t*, uint64_t, void*);
int aclDestroyTensor(const aclTensor*);
int aclGetDataType(const aclTensor*, aclDataType*);
int aclGetFormat(const aclTensor*, aclFormat*);
int aclGetViewShape(const aclTensor*, int64_t**, uint64_t*);
struct aclScalar* aclCreateScalar(void*, aclDataType);
int aclDestroyScalar(const aclScalar*);
struct aclIntArray* aclCreateIntArray(const int64_t*, uint64_t);
int aclDestroyIntArray(const aclIntArray*);
struct aclFloatArray* aclCreateFloatArray(const float*, uint64_t);
int aclDestroyFloatArray(const aclFloatArray*);
struct aclBoolArray* aclCreateBoolArray(const bool*, uint64_t);
int aclDestroyBoolArray(const aclBoolArray*);
struct aclTensorList* aclCreateTensorList(const aclTensor* const*, uint64_t);
int aclDestroyTensorList(const aclTensorList*);
struct aclScalarList* aclCreateScalarList(const aclScalar* const*, uint64_t);
int aclDestroyScalarList(const aclScalarList*);
int aclSetAclOpExecutorRepeatable(aclOpExecutor*);
int aclDestroyAclOpExecutor(aclOpExecutor*);
}
