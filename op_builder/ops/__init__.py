"""One builder a file: the name, the sources and the flags of one op, hardly any code."""
