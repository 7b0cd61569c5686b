"""RNN and LSTM over time, with resets within a sequence; generation uses the cells."""

from pianogen.ops.recurrence.dispatch import gather_words, lstm, rnn
from pianogen.ops.recurrence.reference import lstm_cell, rnn_cell

__all__ = ["gather_words", "lstm", "lstm_cell", "rnn", "rnn_cell"]
