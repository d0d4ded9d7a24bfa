"""Five ops, one for each way of binding C++. Importing the package builds and loads nothing.

- ``crc32c``: plain C, called through ctypes
- ``swiglu``: torch's stable ABI
- ``squared_relu``: ``TORCH_LIBRARY``
- ``edit_distance``: ``PYBIND11_MODULE``
- ``scaled_add``: ``TORCH_LIBRARY`` with headers that include Python's, on the NPU
"""
