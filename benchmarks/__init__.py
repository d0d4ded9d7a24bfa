"""Each op beside its peers and the machine's own limit, in one run: ``ascend-ops bench``.

In import order:

    measure      timing, interleaved; statistics; ratios of samples taken side by side
    records      what a run leaves: records, absences, facts about the machine
    cases        what is measured: the shapes and dtypes of steps, the kinds of loads
    limit        a loop in C++ with the memory traffic of a case and hardly any arithmetic
    peers        the implementations of a step, this project's and others'
    steps        measures optimizer steps
    loads        measures whole processes: cold and warm loads, imports
    run          all cases of a bench, one after the other
    tables       a run as text
    plots        a run as pictures

Imported as ``ascend_ops.benchmarks`` where installed and run as ``python -m benchmarks`` in a
checkout, hence only relative imports inside. See docs/benchmarks.md.
"""
