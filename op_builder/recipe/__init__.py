"""What is built, as text.

In import order:

    spec            the frozen value that decides a build
    source_facts    what the text of a source contains
    torch_target    the torch version that a stable-ABI op targets
    precompiled     the precompiled torch/extension.h
    units           which sources are compiled together
    bindings        what each way of binding adds to it
    ninja           its ninja file
"""
