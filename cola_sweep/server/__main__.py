"""`python -m cola_sweep.server`: the same as `cola-sweep serve`."""

import sys

from cola_sweep.errors import ArgumentParser, run_main
from cola_sweep.server import serve


def main() -> int:
    parser = ArgumentParser(prog="python -m cola_sweep.server")
    serve.add_arguments(parser)
    return serve.main(parser.parse_args())


if __name__ == "__main__":
    sys.exit(run_main(main))
