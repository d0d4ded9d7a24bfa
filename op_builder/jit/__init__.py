"""From a plan to a loaded module.

In import order:

    diagnostics      the first error in the output of a failed build
    plan             one op on one machine: what would be built, and where it is looked up
    depfile          the syntax of the lists of files that were read
    inputs           the files that a build read
    search           where compiler and linker searched, and for which names
    scripts          linker scripts that a linker read, but does not list
    stability        whether they stayed the same while it read them
    run_ninja        the run itself, and its progress
    fetch            a library from the remote cache
    compile          a library in a working folder
    undefined        functions of CANN that no library defines
    publish          build under the lock, and publish in the cache
    library          load a library into this process
    memoized_hit     load the library that an earlier process has found
    hit_inputs       memoize a hit with the files on which it depends
    load             find or build, then load
"""
