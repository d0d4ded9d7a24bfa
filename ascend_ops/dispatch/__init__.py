"""The parts that all NPU ops share: registration with torch, loading, argument checks."""
