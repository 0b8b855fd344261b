"""The plain way to predict, to compare with: librosa reads, Keras computes.

python -m benchmarks.plain_way CLIP... prints the most likely emotion of each and,
on stderr, the seconds that all of them took once everything was loaded.
"""

import sys
import time

import keras  # noqa: F401, as a plain script has its imports at the top
import librosa

from utility.audioFeatureExtraction import extract_features
from utility.globalvars import FRAMES, WEIGHTS_PATH
from utility.model import load_model
from utility.weights import read_weights

weights = read_weights(WEIGHTS_PATH)
model = load_model(weights)
started = time.perf_counter()
for path in sys.argv[1:]:
    signal, rate = librosa.load(path, sr=FRAMES.sample_rate_hz)
    frames = extract_features(signal, rate)
    probabilities = model.predict_on_batch(frames[None])[0]
    print(path, weights.emotions[probabilities.argmax()])
print(time.perf_counter() - started, file=sys.stderr)
