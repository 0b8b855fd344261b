"""Sound in: open any recording, decode it, mix its channels to one, resample it to 16 kHz."""
