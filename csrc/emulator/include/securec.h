// The bounds-checked memory and string functions that CANN's samples use, as C11's Annex K defines
// them. They return 0, or an error after emptying the destination.
#pragma once

#include <errno.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#ifndef EOK
#define EOK 0
#endif
typedef int errno_t;

static inline errno_t memset_s(void* to, size_t capacity, int value, size_t count) {
    if (to == NULL) {
        return EINVAL;
    }
    memset(to, value, count < capacity ? count : capacity);
    return count > capacity ? ERANGE : EOK;
}

static inline errno_t memmove_s(void* to, size_t capacity, const void* from, size_t count) {
    if (to == NULL || from == NULL || count > capacity) {
        if (to != NULL) {
            memset(to, 0, capacity);
        }
        return to == NULL || from == NULL ? EINVAL : ERANGE;
    }
    memmove(to, from, count);
    return EOK;
}

static inline errno_t memcpy_s(void* to, size_t capacity, const void* from, size_t count) {
    return memmove_s(to, capacity, from, count);
}

static inline errno_t strncpy_s(char* to, size_t capacity, const char* from, size_t count) {
    const size_t length = from == NULL ? 0 : strnlen(from, count);
    if (to == NULL || from == NULL || length >= capacity) {
        if (to != NULL && capacity != 0) {
            to[0] = '\0';
        }
        return to == NULL || from == NULL ? EINVAL : ERANGE;
    }
    memcpy(to, from, length);
    to[length] = '\0';
    return EOK;
}

static inline errno_t strcpy_s(char* to, size_t capacity, const char* from) {
    return strncpy_s(to, capacity, from, (size_t)-1);
}

static inline errno_t strcat_s(char* to, size_t capacity, const char* from) {
    const size_t length = to == NULL ? 0 : strnlen(to, capacity);
    if (to == NULL || length == capacity) {
        return EINVAL;
    }
    const errno_t code = strcpy_s(to + length, capacity - length, from);
    if (code != EOK) {
        to[0] = '\0';
    }
    return code;
}

/// Returns the length, or -1 if the text does not fit.
static inline int vsnprintf_s(char* to, size_t capacity, size_t count, const char* format,
                              va_list arguments) {
    const size_t limit = count < capacity ? count + 1 : capacity;
    const int length = to == NULL ? -1 : vsnprintf(to, limit, format, arguments);
    if (to != NULL && capacity != 0 && (length < 0 || (size_t)length >= limit)) {
        to[0] = '\0';
    }
    return length >= 0 && (size_t)length < limit ? length : -1;
}

static inline int sprintf_s(char* to, size_t capacity, const char* format, ...) {
    va_list arguments;
    va_start(arguments, format);
    const int length = vsnprintf_s(to, capacity, capacity, format, arguments);
    va_end(arguments);
    return length;
}

static inline int snprintf_s(char* to, size_t capacity, size_t count, const char* format, ...) {
    va_list arguments;
    va_start(arguments, format);
    const int length = vsnprintf_s(to, capacity, count, format, arguments);
    va_end(arguments);
    return length;
}
