"""Four ops, one for each way of binding C++; importing it builds and loads nothing.

``crc32c`` plain C with ctypes; ``swiglu`` torch's stable ABI; ``squared_relu`` TORCH_LIBRARY;
``edit_distance`` PYBIND11_MODULE.
"""
