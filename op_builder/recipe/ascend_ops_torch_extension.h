// Precompiled once per compiler, torch, Python and flags, for all sources that begin with it.
#include <torch/extension.h>
