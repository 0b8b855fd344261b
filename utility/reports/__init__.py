"""What came out of runs: measures, and reports of them in words, tables and pictures."""
