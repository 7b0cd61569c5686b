"""`pianogen generate`: write pieces."""

import os
from collections.abc import Mapping
from dataclasses import replace

from jsonargparse import Namespace

from pianogen.config import GenerateConfig, part_of
from pianogen.distributed.independent import rank_and_count, take_one_gpu
from pianogen.parsing import Parser, settings_of
from pianogen.verbs.out import out_of


def add_arguments(parser: Parser) -> None:
    """Declare the arguments of `generate`."""
    parser.add_argument("--config", action="config", help="A YAML file of settings; flags after it win.")
    parser.add_argument("runs", type=str, nargs="+", help="Run folders of trained models, their URLs, or pretrained.")
    parser.add_argument("--out", type=str, required=True, help="Folder for the pieces, or an s3:// or gs:// URL.")
    parser.add_class_arguments(GenerateConfig)


def run(arguments: Namespace) -> None:
    """Write the pieces, and say where they are."""
    out, config = out_of(arguments), settings_of(GenerateConfig, arguments)
    if rank_and_count(os.environ)[1] > 1:
        config = share_of_rank(config, os.environ)
        take_one_gpu(os.environ)

    from pianogen.generation import generate_at
    from pianogen.runs import local_run

    num = generate_at([local_run(name, config.checkpoint) for name in arguments.runs], out, config)
    page = f"{out.rstrip('/')}/index.html"
    where = f"{out}, one page of all: {page}" if config.part is None else f"{out} (part {config.part})"
    print(f"{num} pieces in {where}")


def share_of_rank(config: GenerateConfig, environment: Mapping[str, str]) -> GenerateConfig:
    """Divide the part of a job, or all pieces, among its ranks; each makes a part, as the tasks of an array do."""
    rank, count = rank_and_count(environment)
    first, step = part_of(config.part)
    return replace(config, part=f"{first + step * rank}/{step * count}")
