"""The preprocessing job: MIDI or scores in, WebDataset tars and a manifest out."""
