// Forms that library functions of Ascend C have in common: with and without a temporary buffer, of
// which the emulated core uses nothing.
#pragma once

#include "ascendc/vector_arithmetic.h"
#include "ascendc/vector_cast.h"

// Two sources; x and y are their elements as fp32.
#define AICORE_FUNCTION_OF_TWO(NAME, EXPRESSION)                                                 \
    namespace AscendC {                                                                          \
    template <class T, bool isReuseSource = false>                                               \
    void NAME(const LocalTensor<T>& dst, const LocalTensor<T>& src0, const LocalTensor<T>& src1, \
              std::uint32_t count, aicore::Site site = aicore::Site::here()) {                   \
        aicore::with_count(                                                                      \
            {#NAME, aicore::Pipe::v, site}, count, false, dst,                                   \
            [](T, T first, T second) {                                                           \
                [[maybe_unused]] const auto x = aicore::widen(first);                            \
                [[maybe_unused]] const auto y = aicore::widen(second);                           \
                return static_cast<T>(EXPRESSION);                                               \
            },                                                                                   \
            src0, src1);                                                                         \
    }                                                                                            \
    template <class T, bool isReuseSource = false>                                               \
    void NAME(const LocalTensor<T>& dst, const LocalTensor<T>& src0, const LocalTensor<T>& src1, \
              const LocalTensor<std::uint8_t>& /*sharedTmpBuffer*/, std::uint32_t count,         \
              aicore::Site site = aicore::Site::here()) {                                        \
        NAME(dst, src0, src1, count, site);                                                      \
    }                                                                                            \
    template <class T, bool isReuseSource = false>                                               \
    void NAME(const LocalTensor<T>& dst, const LocalTensor<T>& src0, const LocalTensor<T>& src1, \
              aicore::Site site = aicore::Site::here()) {                                        \
        NAME(dst, src0, src1, src0.GetSize(), site);                                             \
    }                                                                                            \
    template <class T, bool isReuseSource = false>                                               \
    void NAME(const LocalTensor<T>& dst, const LocalTensor<T>& src0, const LocalTensor<T>& src1, \
              const LocalTensor<std::uint8_t>& /*sharedTmpBuffer*/,                              \
              aicore::Site site = aicore::Site::here()) {                                        \
        NAME(dst, src0, src1, src0.GetSize(), site);                                             \
    }                                                                                            \
    }

// One source and a result of another type; x is the element.
#define AICORE_FUNCTION_TO(NAME, EXPRESSION)                                             \
    namespace AscendC {                                                                  \
    template <class R, class T, bool isReuseSource = false>                              \
    void NAME(const LocalTensor<R>& dst, const LocalTensor<T>& src, std::uint32_t count, \
              aicore::Site site = aicore::Site::here()) {                                \
        aicore::with_count(                                                              \
            {#NAME, aicore::Pipe::v, site}, count, false, dst,                           \
            [](R, T value) {                                                             \
                [[maybe_unused]] const auto x = aicore::widen(value);                    \
                return static_cast<R>(EXPRESSION);                                       \
            },                                                                           \
            src);                                                                        \
    }                                                                                    \
    template <class R, class T, bool isReuseSource = false>                              \
    void NAME(const LocalTensor<R>& dst, const LocalTensor<T>& src,                      \
              const LocalTensor<std::uint8_t>& /*sharedTmpBuffer*/, std::uint32_t count, \
              aicore::Site site = aicore::Site::here()) {                                \
        NAME(dst, src, count, site);                                                     \
    }                                                                                    \
    template <class R, class T, bool isReuseSource = false>                              \
    void NAME(const LocalTensor<R>& dst, const LocalTensor<T>& src,                      \
              const LocalTensor<std::uint8_t>& /*sharedTmpBuffer*/,                      \
              aicore::Site site = aicore::Site::here()) {                                \
        NAME(dst, src, src.GetSize(), site);                                             \
    }                                                                                    \
    template <class R, class T, bool isReuseSource = false>                              \
    void NAME(const LocalTensor<R>& dst, const LocalTensor<T>& src,                      \
              aicore::Site site = aicore::Site::here()) {                                \
        NAME(dst, src, src.GetSize(), site);                                             \
    }                                                                                    \
    }
