"""Accuracy: of a baseline of the field, of timelines, and of each part of the recipe."""
