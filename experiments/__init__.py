"""Accuracy: beside a baseline of the field, on timelines, and of each part of the recipe."""
