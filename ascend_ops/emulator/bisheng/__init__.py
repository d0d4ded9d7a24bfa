"""The emulated CANN's ``bisheng``: compiles kernels written in Ascend C for the emulated AI core.

The driver takes the command lines that CANN documents. It rewrites the launches in the source and
lets the host's C++ compiler compile the rest as it is, against the headers in
``csrc/emulator/include``. See docs/ascend-c.md.
"""
