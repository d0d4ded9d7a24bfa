"""Each op beside its peers and the machine's own limit, in one run: ``ascend-ops bench``.

In import order:

    cases           what is measured: the shapes and dtypes of steps, the kinds of loads
    measure         timing, interleaved; statistics; ratios of samples taken side by side
    arrays          the memory of a case
    reference       the optimizers in float64
    implementation  one way to do a step, and the check that it computes what it should
    limit           a loop in C++ with the memory traffic of a case and hardly any arithmetic
    records         what a run leaves: records, absences, facts about the machine
    kernels         this project's builders, and the instruction set in use
    peers           the implementations of a step, this project's and others'
    instructions    instructions a parameter, counted by callgrind
    cross_instructions  the same on aarch64, beside DeepSpeed's, counted under qemu
    steps           measures optimizer steps
    loads           measures whole processes: cold and warm loads, builds, imports
    npu_optimizers  a step of many small tensors on an NPU, this project's and DeepSpeed's loop
    npu_calls       measures calls on an NPU, by the host's time
    run             all cases of a bench, one after the other
    tables          a run as text
    plot_style      what the pictures share
    roofline        the picture of the steps below memory's limit
    plots           a run as pictures

Imported as ``ascend_ops.benchmarks`` where installed and run as ``python -m benchmarks`` in a
checkout, hence only relative imports inside. See docs/benchmarks.md.
"""
