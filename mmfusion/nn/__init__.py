"""Neural networks: encoders of the streams, fusions, heads, and training."""
