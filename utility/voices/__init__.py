"""Utterances as a whole, and the voices that speak them: functionals, baselines, discriminant."""
