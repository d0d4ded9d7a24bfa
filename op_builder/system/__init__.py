"""Everything that touches the operating system.

In import order:

    output              what is kept of a program's output
    supervisor          the script that every subprocess runs under
    process             the only place that starts a subprocess
    file_clock          the time by the clock of a file system
    failures            a program's own failure, or that of the machine
    regular_file        bounded reads of regular files
    elf                 the dynamic symbols of a library
    file_identity       digests of files, remembered by their status
    elf_file            the identity of a library that is linked against
    thin_archive        the members of archives that contain only their names
    trust               whether other users could replace a file
    private_folder      folders that only their owner can write to
    memo                facts remembered across processes
"""
