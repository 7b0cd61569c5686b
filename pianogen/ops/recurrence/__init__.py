"""RNN and LSTM over time, with resets in the middle; the cells alone serve generation."""

from pianogen.ops.recurrence.fused import lstm, rnn
from pianogen.ops.recurrence.reference import lstm_cell, rnn_cell

__all__ = ["lstm", "lstm_cell", "rnn", "rnn_cell"]
