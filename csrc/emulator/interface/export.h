// How the emulator's libraries export a function.
#pragma once

#define EMULATOR_EXPORT extern "C" __attribute__((visibility("default")))
