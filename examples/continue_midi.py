"""Continue a MIDI file with a trained model: python examples/continue_midi.py RUN IN.mid OUT.mid"""

import sys
from pathlib import Path

import pianogen
from pianogen.tokens import write_midi


def main(run: str, prompt: str, out: str) -> None:
    """Write the first two bars of `prompt` and four bars that the model adds."""
    opened = pianogen.open_run(run)
    pieces = pianogen.generate(opened, prompt=prompt, prompt_bars=2, bars=4, seed=0, top_p=0.95)
    write_midi(pianogen.decode(pieces[0]), Path(out), steps_per_quarter=opened.tokenizer.steps_per_quarter)


if __name__ == "__main__":
    main(*sys.argv[1:])
