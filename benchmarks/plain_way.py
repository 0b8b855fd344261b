"""The plain way to predict, as a baseline: librosa reads, Keras computes.

python -m benchmarks.plain_way CLIP... prints the most probable emotion of each clip and,
on stderr, the seconds that all clips took after everything was loaded.
"""

import sys
import time

import keras  # noqa: F401, a plain script imports at the top
import librosa
import numpy as np

from utility.furtherFeatures import columns_of, extract_all_features
from utility.globalvars import FRAMES, WEIGHTS_PATH
from utility.network.model import load_members
from utility.network.weights import read_weights
from utility.signals import trim_silence

weights = read_weights(WEIGHTS_PATH)
members = load_members(weights)
started = time.perf_counter()
for path in sys.argv[1:]:
    signal, rate = librosa.load(path, sr=FRAMES.sample_rate_hz)
    frames = extract_all_features(trim_silence(signal), rate)
    frames = frames.take(columns_of(weights.feature_names), axis=1)[None]
    # The temperature does not change which emotion is first.
    probabilities = np.mean([model.predict_on_batch(frames)[0] for model in members], axis=0)
    print(path, weights.emotions[probabilities.argmax()])
print(time.perf_counter() - started, file=sys.stderr)
