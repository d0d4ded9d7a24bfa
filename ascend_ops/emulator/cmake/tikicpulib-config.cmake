# find_package(tikicpulib): CANN's library for RUN_MODE=cpu.
message(FATAL_ERROR "tikicpulib, CANN's library that runs kernels on the CPU, is not in the "
  "emulated CANN. Use RUN_MODE=npu: kernels then run on the emulated AI core, which needs no "
  "device.")
