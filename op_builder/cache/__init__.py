"""Built libraries on disk.

In import order:

    key              what a library's content depends on
    layers           the folders that are searched, in search order
    manifest         the description that is stored with a library
    open_library     a verified library, held open until it is loaded
    lookups          look-ups that failed when an entry was built
    freshness        whether an entry's inputs are still as they were
    entry            one built library: its manifest and its validity
    staging          private working folders
    store            find and publish entries
    lock             one build of an op at a time
    claim            one build of an op at a time in a folder that machines share
    archive          pack entries for other machines, and unpack them there
    maintenance      list, prune, clear; the nearest entry to a key that missed
"""
