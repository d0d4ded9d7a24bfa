"""From a plan to a loaded module: find or build, compile, publish, load."""
