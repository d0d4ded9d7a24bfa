"""A remote layer of the cache, for clusters and CI: any store that fsspec can open.

It is read when no local layer has an op, before the op is built, and ``ascend-ops cache push``
fills it. Nothing in it is trusted: what it sends is limited, verified and, if keys are listed,
must be signed. docs/remote-cache.md describes its use, and the objects in it.

In import order:

    documents        the objects of a remote cache: their names, their strict schemas
    signatures       Ed25519 signatures of entries, and the keys that are trusted
    reader           the script that downloads files, in a process of its own
    server           a remote cache as a build sees it: time limits, servers that are down
    download         find an entry, verify it, and publish it in the user's layer
    push             upload entries
    presence         what a remote cache has of an op, for reports
"""
