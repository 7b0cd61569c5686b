"""Judging of pieces: how far their measures are from those of real music, and a report. `job` is the entry."""
