#include "native_test.h"

int main(int argc, char** argv) { native_test::run_all(argc > 1 ? argv[1] : ""); }
