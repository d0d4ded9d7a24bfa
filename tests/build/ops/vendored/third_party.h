#pragma GCC system_header
#define THIRD_PARTY 42
