"""`python -m pianogen.track RUN` mirrors one run folder until its stdin closes; training starts it beside itself."""

import sys
from pathlib import Path

from pianogen.track.following import follow

if __name__ == "__main__":
    follow(Path(sys.argv[1]))
