"""`python -m shards SOURCE --out DIR ...`: the same parser and function as `pianogen shards`."""

import sys


def main() -> None:
    """Hand the command line over to `pianogen shards`."""
    from pianogen.cli import main as pianogen

    sys.exit(pianogen(["shards", *sys.argv[1:]]))


if __name__ == "__main__":
    main()
