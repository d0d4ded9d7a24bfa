// The whole of libge_runner, libgraph and libacl_tdt_channel: torch_npu's libraries name them as
// needed and call nothing in them.
