"""Experiments: a search, folds, measures, and the report of a run."""
