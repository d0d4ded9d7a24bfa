#include "answer.h"

extern "C" __attribute__((visibility("default"))) int answer() { return ANSWER + ADDEND; }
