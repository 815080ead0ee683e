"""Inputs changed at random: each must end in our error, in the same content, or in a warning.

`harness.run` counts how the inputs of each format end. A format is one entry, see `registry.Format`: a
module in `tests/fuzz/formats` lists its entries as `FORMATS`. `python benchmarks/fuzz.py` runs many inputs.
"""
