// One optimizer's kernels of one instruction set as a program: the arguments are the numbers that
// ascend_ops_run_kernel takes.
#include <cstdlib>

#include "kernel_driver.cpp"

int main(int argc, char** argv) {
    if (argc != 7) {
        return 2;
    }
    const auto number = [&](int i) { return std::atoi(argv[i]); };
    const bool ran = ascend_ops_run_kernel(number(1), number(2), number(3), number(4), number(5),
                                           number(6) != 0);
    return ran ? 0 : 1;
}
