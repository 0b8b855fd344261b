"""Experiments: a search, folds, runs, and the training of weights."""
