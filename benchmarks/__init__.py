"""Speed and memory, compared with other programs: python -m benchmarks."""
