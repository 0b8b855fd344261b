"""How a command ends when it is told to, and what a worker process does."""
