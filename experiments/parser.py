"""The command line that the measuring programs share."""

from pathlib import Path

from utility.command_line import Parser, add_debug_option


def make_parser(prog, description, output) -> Parser:
    """Return a parser with --audio and --output, where results go to unless told otherwise."""
    command = f"python -m {prog}"
    parser = Parser(
        prog=prog, description=description, examples=(command, f"{command} --audio data/wav")
    )
    parser.add_argument("--audio", type=Path, metavar="DIR", help="folder of the EmoDB recordings")
    parser.add_argument(
        "--output", type=Path, default=output, metavar="PATH", help="place for the results"
    )
    add_debug_option(parser)
    return parser
