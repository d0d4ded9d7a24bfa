#include "native_test.h"

int main(int argc, char** argv) { return native_test::run_all(argc > 1 ? argv[1] : ""); }
