"""`python -m launch [cluster options] VERB ...`: the same parser and function as `pianogen submit`."""

import sys


def main() -> None:
    """Hand the command line over to `pianogen submit`."""
    from pianogen.cli import main as pianogen

    sys.exit(pianogen(["submit", *sys.argv[1:]]))


if __name__ == "__main__":
    main()
