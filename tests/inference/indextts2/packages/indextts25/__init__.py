"""Stand-in for indextts25-inference 0.2.0: signatures, cache and faults, no model."""
