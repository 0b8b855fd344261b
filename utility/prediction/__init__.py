"""Prediction: from a recording to emotions, over time, live, and as text or a picture."""
