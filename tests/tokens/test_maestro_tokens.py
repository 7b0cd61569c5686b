"""All of MAESTRO v3.0.0 on the paper's grid, against counts of independent code."""

import csv
import io
import os
import zipfile
from collections import Counter
from pathlib import Path

import pytest

from pianogen.config import TokenizerConfig
from pianogen.tokens import QuantisationReport, read_midi, tokenize

ARCHIVE = os.environ.get("PIANOGEN_MAESTRO_ARCHIVE")


@pytest.fixture(scope="module")
def counted() -> tuple[QuantisationReport, Counter[str]]:
    """The report over all files, and tokens by official split."""
    if ARCHIVE is None:
        pytest.skip("set PIANOGEN_MAESTRO_ARCHIVE to the path of maestro-v3.0.0-midi.zip")
    config, report, tokens = TokenizerConfig(), QuantisationReport(), Counter[str]()
    with zipfile.ZipFile(Path(ARCHIVE)) as archive:
        listing = next(name for name in archive.namelist() if name.endswith(".csv"))
        for row in csv.DictReader(io.StringIO(archive.read(listing).decode())):
            raw = read_midi(archive.read(f"{listing.split('/')[0]}/{row['midi_filename']}"))
            ids, file_report = tokenize(raw, config)
            report += file_report
            tokens[row["split"]] += len(ids)
    return report, tokens


@pytest.mark.maestro
def test_the_report_has_the_expected_counts(counted: tuple[QuantisationReport, Counter[str]]) -> None:
    report, _ = counted
    assert (report.read, report.shortened_to_minimum, report.merged) == (7_040_163, 2_471_126, 24_234)
    assert (report.capped_durations, report.capped_waits, report.out_of_range) == (69, 56, 0)


@pytest.mark.maestro
def test_the_official_splits_have_the_expected_tokens(counted: tuple[QuantisationReport, Counter[str]]) -> None:
    _, tokens = counted
    assert dict(tokens) == {"train": 16_650_680, "validation": 1_885_715, "test": 2_160_885}
