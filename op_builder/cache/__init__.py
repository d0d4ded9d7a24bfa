"""Built libraries on disk: their keys, their entries, and the layers they lie in."""
