// What a kernel gets from CANN's name of the header of Matmul.
#pragma once

#include "ascendc/matmul.h"
#include "kernel_operator.h"
