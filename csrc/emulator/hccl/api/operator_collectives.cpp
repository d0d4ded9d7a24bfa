// Communication for operators of libopapi, by the name of a communicator.
#include "emulator/hccl/objects/named_collectives.h"

EMULATOR_EXPORT ascend_emulator::Collectives* ascend_emulator_collectives() {
    return &ascend_emulator::named_collectives();
}
