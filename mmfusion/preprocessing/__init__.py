"""Fold-fitted transformers: every statistic is learned inside `fit`, on the training rows."""
