"""Speed and memory, beside other programs: python -m benchmarks."""
