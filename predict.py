"""Tell the emotion that a voice carries: python predict.py path.wav."""

import sys
from pathlib import Path

from utility.command_line import Parser, add_debug_option, report, run
from utility.errors import SignalError, UsageError, WeightsError
from utility.globalvars import FRAMES, WEIGHTS_PATH


def predict_file(path, weights) -> list[tuple[str, float]]:
    """Return the emotions of a recording with their probabilities, most likely first.

    Raises
    ------
    SignalError
        If the recording is missing, unreadable, too short, silent or not finite.
    WeightsError
        If the weights do not fit their network.
    """
    from utility.audioFeatureExtraction import extract_features
    from utility.functions import load_audio
    from utility.inference import predict

    frames = extract_features(load_audio(path), FRAMES.sample_rate_hz)
    probabilities, _ = predict(weights, frames)
    return sorted(
        zip(weights.emotions, probabilities.tolist(), strict=True), key=lambda pair: -pair[1]
    )


def build_parser() -> Parser:
    """Describe the command line."""
    parser = Parser(
        prog="predict.py",
        description="Print the most likely emotions of a voice, best first.",
        examples=("python predict.py data/demo.wav", "python predict.py --top 7 a.wav b.flac"),
    )
    parser.add_argument(
        "audio",
        nargs="+",
        metavar="AUDIO",
        help="recordings that libsndfile reads (WAV, FLAC, OGG, MP3), at any sample rate",
    )
    parser.add_argument(
        "--top", type=int, default=2, metavar="N", help="number of emotions to print"
    )
    parser.add_argument(
        "--weights", type=Path, default=WEIGHTS_PATH, metavar="FILE", help="weights of train.py"
    )
    add_debug_option(parser)
    return parser


def main(arguments) -> int:
    """Carry out the command line; return 1 if a recording failed, after doing the others."""
    if arguments.top < 1:
        raise UsageError(f"--top {arguments.top}: give 1 or more")
    from utility.weights import read_weights

    weights = read_weights(arguments.weights)
    failed = False
    for path in arguments.audio:
        try:
            ranking = predict_file(path, weights)
        except SignalError as error:
            if arguments.debug:
                raise
            report("predict.py", f"{path}: {error}")
            failed = True
            continue
        except WeightsError as error:
            raise WeightsError(f"{arguments.weights}: {error}") from error
        if len(arguments.audio) > 1:
            print(f"{path}:")
        top = min(arguments.top, len(ranking))
        for emotion, probability in ranking[:top]:
            print(f"the top {top} emotion is: ({emotion!r}, {probability:.4f})", flush=True)
    return int(failed)


if __name__ == "__main__":
    sys.exit(run(build_parser(), main))
