#include "emulator/ascendc/soc.h"

#include <cstring>

#include "emulator/interface/services.h"

namespace aicore {
namespace {

// UB, L1, L0A, L0B, L0C, BT, FB. The first row whose prefix matches counts. Ascend 950 has 256 KiB
// of UB, of which the compiler keeps 6 for spilled registers, and the library 2.
const Soc table[] = {
    {"Ascend910B", 2201, {196608, 524288, 65536, 65536, 131072, 1024, 7168}, {}},
    {"Ascend910_93", 2201, {196608, 524288, 65536, 65536, 131072, 1024, 7168}, {}},
    {"Ascend310P", 2002, {262144, 1048576, 65536, 65536, 262144, 1024, 7168}, {}},
    {"Ascend310B", 3002, {253952, 1048576, 65536, 65536, 131072, 1024, 5120}, {}},
    {"Ascend950", 3510, {253952, 524288, 65536, 65536, 262144, 4096, 4096}, {}},
    {"", unknown_arch, {196608, 524288, 65536, 65536, 131072, 1024, 7168}, {}},
};

}  // namespace

const Soc& soc() {
    static const Soc found = [] {
        const std::string& name = ascend_emulator::services().options().soc;
        const Soc* row = table;
        while (name.compare(0, std::strlen(row->prefix), row->prefix) != 0) {
            ++row;
        }
        Soc result = *row;
        result.name = name;
        return result;
    }();
    return found;
}

}  // namespace aicore
