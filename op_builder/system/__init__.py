"""Everything that touches the operating system.

In import order:

    output              what is kept of a program's output
    supervisor          the script that every subprocess runs under
    process             the only place that starts a subprocess
    file_clock          the time by the clock of a file system
    failures            a program's own failure, or that of the machine
    file_identity       digests of files, remembered by their status
    elf_file            the identity of a library that is linked against
    private_folder      folders that only their owner can write to
    memo                facts remembered across processes
"""
