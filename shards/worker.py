"""`python -m shards.worker`: a process that reads source files; each is one JSON line in and one out.

A file that makes it hang, crash or exhaust its memory ends only this process. Tokens are appended to a spool file that
only this process writes; the output lines have their offsets.
"""

import hashlib
import json
import os
import resource
import signal
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any, BinaryIO

from pianogen.config import TokenizerConfig
from pianogen.errors import InconsistentScoreError, PianogenError
from shards.reading import Reading, ReadingConfig, load, store, tokenize_source
from shards.sources import SourceFile

MAX_MEMORY_BYTES = 2 << 30


def main() -> None:
    """Read the settings, then tasks until standard input ends."""
    # readers may print: standard output is for answers only
    answers = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)
    settings = json.loads(sys.stdin.readline())
    resource.setrlimit(resource.RLIMIT_DATA, (MAX_MEMORY_BYTES, MAX_MEMORY_BYTES))
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent gets it too and ends this process
    config = ReadingConfig(**{**settings["config"], "tokenizer": TokenizerConfig(**settings["config"]["tokenizer"])})
    with Path(settings["spool"]).open("xb", buffering=0) as spool:
        print(json.dumps({"ready": True}), file=answers)
        for line in sys.stdin:
            task = json.loads(line)
            signal.alarm(settings["max_seconds"])  # its default action ends the process, even inside a C++ parser
            answer = _answer(task["index"], SourceFile(**task["source"]), config, spool)
            signal.alarm(0)
            print(json.dumps(answer), file=answers)


def _answer(index: int, source: SourceFile, config: ReadingConfig, spool: BinaryIO) -> dict[str, Any]:
    data = None
    facts: dict[str, Any]
    try:
        data = load(source, round(config.max_file_mb * 1e6))
        facts, streams = tokenize_source(source, data, config)
    except MemoryError:
        facts, streams = {"reason": f"needs more than {MAX_MEMORY_BYTES >> 30} GB of memory"}, []
    except PianogenError as error:
        facts = {"reason": _without_path(str(error), source), "inconsistent": isinstance(error, InconsistentScoreError)}
        streams = []
    except Exception as error:  # readers raise exceptions of any class on a broken file
        facts, streams = {"reason": _without_path(f"cannot be read: {type(error).__name__}: {error}", source)}, []
    sha256 = hashlib.sha256(data).hexdigest() if data is not None else None
    try:
        kept = tuple(store(ids, tempo, spool) for tempo, ids in streams)
    except OSError as error:
        return {"cannot_write": error.errno}
    return asdict(Reading(index=index, sha256=sha256, **facts, streams=kept))


def _without_path(message: str, source: SourceFile) -> str:
    """The message as one line, without the path of the folder."""
    return " ".join(message.replace(source.path, source.name).split())[:300]


if __name__ == "__main__":
    main()
