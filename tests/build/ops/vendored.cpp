#include <third_party.h>

extern "C" __attribute__((visibility("default"))) int answer() { return THIRD_PARTY; }
