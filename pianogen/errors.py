"""What a user can do wrong, as exceptions: each message says what, which value, the rule and the way out."""


class PianogenError(Exception):
    """A user's mistake: the command line prints its message as one line and exits 2."""


class SettingError(PianogenError):
    """A setting is unknown, out of range, or contradicts another."""


class SourceError(PianogenError):
    """A MIDI file, score or archive is missing, broken, empty or too large."""


class InconsistentScoreError(SourceError):
    """A score whose notation contradicts itself, so that nobody can tell which notes are meant."""


class TokenError(PianogenError):
    """A token stream breaks the grammar; the message names the position."""


class ShardError(PianogenError):
    """Shards are missing, damaged, or made with other tokenizer settings."""


class RunError(PianogenError):
    """A run folder or checkpoint is missing, damaged, busy or made by other settings."""


class StorageError(PianogenError):
    """Object storage cannot be reached, refuses, or holds other bytes than its manifest says."""


class LaunchError(PianogenError):
    """Processes were started in a way that cannot work, such as fewer ranks than asked for."""
