"""Explanations of any fitted model: genes, scans, modalities. What they find are candidate associations."""
