"""How fast, beside others: python -m benchmarks."""
