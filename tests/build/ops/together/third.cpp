int addend() { return ADDEND; }
