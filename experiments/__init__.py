"""Accuracy beside others, and what each part of the recipe is worth."""
