"""The command line that the measuring programs share."""

from pathlib import Path

from utility.command_line import Parser, add_debug_option


def make_parser(prog, description, output, options="--audio data/wav") -> Parser:
    """Return a parser with --output, where results go to unless told otherwise.

    Its help shows the command alone and with the options.
    """
    command = f"python -m {prog}"
    examples = command, f"{command} {options}"
    parser = Parser(prog=prog, description=description, examples=examples)
    parser.add_argument(
        "--output", type=Path, default=output, metavar="PATH", help="place for the results"
    )
    add_debug_option(parser)
    return parser


def make_emodb_parser(prog, description, output) -> Parser:
    """Return a parser that also has --audio."""
    parser = make_parser(prog, description, output)
    parser.add_argument("--audio", type=Path, metavar="DIR", help="folder of the EmoDB recordings")
    return parser
