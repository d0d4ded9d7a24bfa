"""From a builder class to a loaded module. Importing it starts nothing and imports no torch."""
