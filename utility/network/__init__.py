"""The networks: their hyperparameters, both definitions, training and the weights file."""
