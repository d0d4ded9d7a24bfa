"""What every op family shares: registration with torch, loading, argument checks."""
