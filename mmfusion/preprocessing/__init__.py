"""The fold-fitted transformers: every statistic is learned inside `fit`, on the rows it is given."""
