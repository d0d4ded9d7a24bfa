"""The command ``ascend-ops``: one module per subcommand.

Exit codes: 0 for success; 1 if something failed (a build failed, an op is missing, an entry is
damaged); 2 if the command line is wrong. Those of ``doctor`` are 0 if nothing is wrong with the
machine, 1 with warnings, 2 if something is broken.
"""
