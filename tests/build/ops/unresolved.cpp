extern "C" int nobody_defines_this();

extern "C" __attribute__((visibility("default"))) int answer() { return nobody_defines_this(); }
