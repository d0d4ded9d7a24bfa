"""The command ``ascend-ops``: one module a subcommand.

Exit codes: 0 done; 1 something asked for is not so (a build failed, an op is missing, an entry is
damaged); 2 the command line is wrong.
"""
