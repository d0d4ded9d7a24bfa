int number();
int addend();

extern "C" __attribute__((visibility("default"))) int answer() { return number() + addend(); }
