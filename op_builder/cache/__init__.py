"""Built libraries on disk.

In import order:

    key              what a library's content depends on
    layers           the folders that are searched, in search order
    entry            one built library: its manifest and its validity
    store            find and publish entries
    lock             one build of an op at a time
    archive          pack entries for other machines, and unpack them there
    maintenance      list, prune, clear; the nearest entry to a key that missed
"""
