"""What is built, as text: the frozen spec, the settings of each binding, the ninja file."""
