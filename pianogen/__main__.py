"""`python -m pianogen` is the command `pianogen`."""

from pianogen.cli import main

if __name__ == "__main__":
    raise SystemExit(main())
