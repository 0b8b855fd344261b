"""Data: which recordings there are, what they hold, and how they are divided into folds."""
