"""Device kernels in Ascend C from source text.

In import order:

    signature   the parameters of a kernel, read from its source
    compiled    compile_kernel, and the callable that it returns
"""
