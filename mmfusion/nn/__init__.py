"""Networks: encoders of the streams, fusions, heads, and their training."""
