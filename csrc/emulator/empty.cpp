// The only source of libge_runner, libgraph and libacl_tdt_channel: torch_npu's libraries are
// linked against them and call nothing in them.
