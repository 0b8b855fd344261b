"""The parts that train.py, predict.py and dataset.py are put together from."""
