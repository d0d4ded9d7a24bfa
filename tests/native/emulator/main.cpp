#include "check.h"

int main(int count, char** arguments) {
    if (count != 2) {
        for (const auto& one : cases()) {
            std::puts(one.first.c_str());
        }
        return 0;
    }
    cases().at(arguments[1])();
    std::puts("passed");
    return 0;
}
