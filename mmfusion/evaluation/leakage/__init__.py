"""Guards against inputs that give the label away."""
