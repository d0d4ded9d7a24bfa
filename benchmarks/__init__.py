"""``ascend-ops bench``: compare ops with other implementations and with the machine's limit.

In import order:

    cases               what is measured: shapes and dtypes of steps, kinds of loads
    measure             interleaved timing, statistics, ratios within a round
    arrays              the memory of a case
    reference           the optimizers in float64
    implementation      one implementation of a step, and the check of its results
    limit               a C++ loop with the memory traffic of a case and almost no arithmetic
    records             the results of a run: records, absences, facts about the machine
    kernels             this project's builders, and the instruction set in use
    peers               implementations of a step, by this project and by others
    instructions        instructions per parameter, counted by callgrind
    cross_instructions  the same on aarch64, with DeepSpeed's, counted under qemu
    steps               measure optimizer steps
    loads               measure whole processes: cold and warm loads, builds, imports
    npu_optimizers      a step of many small tensors on an NPU, with DeepSpeed's loop
    npu_calls           measure the host time of calls on an NPU
    ascend_c            a kernel in Ascend C on the emulated NPU
    run                 run all cases of a bench
    tables              a run as text
    plot_style          colours, markers and files of all plots
    roofline            the plot of the steps below the memory limit
    plots               a run as plots

The package is installed as ``ascend_ops.benchmarks``, and runs as ``python -m benchmarks`` in a
checkout; therefore all its imports of itself are relative. See docs/benchmarks.md.
"""
