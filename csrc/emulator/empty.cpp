// The whole of libge_runner, libgraph, libacl_tdt_channel and libhcomm: torch_npu's libraries name
// them as needed and call nothing in them.
