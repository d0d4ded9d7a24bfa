"""Device kernels in Ascend C: from source text, and those of this project.

In import order:

    structures  the structures that a kernel takes, and the numbers in them
    signature   the parameters of a kernel, read from its source
    arguments   their checks, and how they are packed for the launcher
    queue       launches in the order of torch_npu's task queue
    compiled    compile_kernel, and the callable that it returns
    jit         jit_kernel: compiled at the first call, for each configuration
    tuning      autotune: the fastest configuration, measured once and remembered
    family      this project's kernels: loading, argument checks
    norm, softmax, rotary, moe, fused_optimizers    the functions that launch them
"""
