"""The folder that `ascend-ops emulate` puts first on the path of the Pythons that it starts."""
