// The handles that aclnn functions take. Part of the emulated CANN's include folder.
#pragma once

#include <stddef.h>
#include <stdint.h>

#ifndef __cplusplus
#include <stdbool.h>
#endif

#include "acl/acl_base.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct aclTensor aclTensor;
typedef struct aclScalar aclScalar;
typedef struct aclIntArray aclIntArray;
typedef struct aclFloatArray aclFloatArray;
typedef struct aclBoolArray aclBoolArray;
typedef struct aclTensorList aclTensorList;
typedef struct aclScalarList aclScalarList;
typedef struct aclOpExecutor aclOpExecutor;

/// 0, or an error code that aclGetRecentErrMsg explains.
typedef int32_t aclnnStatus;
#ifdef __cplusplus
constexpr aclnnStatus OK = 0;
#endif

/// A tensor in device memory. Sizes, strides and the offset are in elements; `data` is the start of
/// the storage. If `strides` is null, the tensor is contiguous.
ACL_FUNC_VISIBILITY aclTensor* aclCreateTensor(const int64_t* sizes, uint64_t rank,
                                               aclDataType type, const int64_t* strides,
                                               int64_t offset, aclFormat format,
                                               const int64_t* storage_sizes, uint64_t storage_rank,
                                               void* data);
/// A scalar in host memory, which is copied.
ACL_FUNC_VISIBILITY aclScalar* aclCreateScalar(void* value, aclDataType type);
ACL_FUNC_VISIBILITY aclIntArray* aclCreateIntArray(const int64_t* values, uint64_t count);
ACL_FUNC_VISIBILITY aclFloatArray* aclCreateFloatArray(const float* values, uint64_t count);
ACL_FUNC_VISIBILITY aclBoolArray* aclCreateBoolArray(const bool* values, uint64_t count);
/// A list owns its members: destroying it destroys them.
ACL_FUNC_VISIBILITY aclTensorList* aclCreateTensorList(const aclTensor* const* members,
                                                       uint64_t count);
ACL_FUNC_VISIBILITY aclScalarList* aclCreateScalarList(const aclScalar* const* members,
                                                       uint64_t count);

/// Give an existing handle the values of a new one.
ACL_FUNC_VISIBILITY aclnnStatus aclInitTensor(aclTensor* tensor, const int64_t* sizes,
                                              uint64_t rank, aclDataType type,
                                              const int64_t* strides, int64_t offset,
                                              aclFormat format, const int64_t* storage_sizes,
                                              uint64_t storage_rank, void* data);

ACL_FUNC_VISIBILITY aclnnStatus aclDestroyTensor(const aclTensor* tensor);
ACL_FUNC_VISIBILITY aclnnStatus aclDestroyScalar(const aclScalar* scalar);
ACL_FUNC_VISIBILITY aclnnStatus aclDestroyIntArray(const aclIntArray* array);
ACL_FUNC_VISIBILITY aclnnStatus aclDestroyFloatArray(const aclFloatArray* array);
ACL_FUNC_VISIBILITY aclnnStatus aclDestroyBoolArray(const aclBoolArray* array);
ACL_FUNC_VISIBILITY aclnnStatus aclDestroyTensorList(const aclTensorList* list);
ACL_FUNC_VISIBILITY aclnnStatus aclDestroyScalarList(const aclScalarList* list);

/// The caller frees an array that one of these returns with delete[].
ACL_FUNC_VISIBILITY aclnnStatus aclGetViewShape(const aclTensor* tensor, int64_t** sizes,
                                                uint64_t* rank);
ACL_FUNC_VISIBILITY aclnnStatus aclGetViewStrides(const aclTensor* tensor, int64_t** strides,
                                                  uint64_t* rank);
ACL_FUNC_VISIBILITY aclnnStatus aclGetViewOffset(const aclTensor* tensor, int64_t* offset);
ACL_FUNC_VISIBILITY aclnnStatus aclGetDataType(const aclTensor* tensor, aclDataType* type);
ACL_FUNC_VISIBILITY aclnnStatus aclGetFormat(const aclTensor* tensor, aclFormat* format);
/// The start of the tensor's storage.
ACL_FUNC_VISIBILITY aclnnStatus aclGetRawTensorAddr(const aclTensor* tensor, void** data);
ACL_FUNC_VISIBILITY aclnnStatus aclSetRawTensorAddr(aclTensor* tensor, void* data);

ACL_FUNC_VISIBILITY aclnnStatus aclGetIntArraySize(const aclIntArray* array, uint64_t* count);
ACL_FUNC_VISIBILITY aclnnStatus aclGetFloatArraySize(const aclFloatArray* array, uint64_t* count);
ACL_FUNC_VISIBILITY aclnnStatus aclGetBoolArraySize(const aclBoolArray* array, uint64_t* count);
ACL_FUNC_VISIBILITY aclnnStatus aclGetTensorListSize(const aclTensorList* list, uint64_t* count);
ACL_FUNC_VISIBILITY aclnnStatus aclGetScalarListSize(const aclScalarList* list, uint64_t* count);

/// Let an executor be launched more than once; aclDestroyAclOpExecutor then destroys it.
ACL_FUNC_VISIBILITY aclnnStatus aclSetAclOpExecutorRepeatable(aclOpExecutor* executor);
ACL_FUNC_VISIBILITY aclnnStatus aclDestroyAclOpExecutor(aclOpExecutor* executor);

#ifdef __cplusplus
}
#endif
