"""`accelerate launch -m pianogen.train --config ...` is `pianogen train --config ...` on every rank."""

import sys

from pianogen.cli import main

if __name__ == "__main__":
    raise SystemExit(main(["train", *sys.argv[1:]]))
