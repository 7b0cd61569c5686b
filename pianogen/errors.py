"""Exceptions for a user's mistakes; each message states the problem, the value, the rule and how to fix it."""


class PianogenError(Exception):
    """A user's mistake: the command line prints its message as one line and exits 2."""


class SettingError(PianogenError):
    """A setting is unknown, out of range, or contradicts another."""


class SourceError(PianogenError):
    """A MIDI file, score or archive is missing, broken, empty or too large."""


class InconsistentScoreError(SourceError):
    """A score's notation contradicts itself, so that the intended notes are ambiguous."""


class TokenError(PianogenError):
    """A token stream breaks the grammar; the message names the position."""


class ShardError(PianogenError):
    """Shards are missing, damaged, or made with different tokenizer settings."""


class RunError(PianogenError):
    """A run folder or checkpoint is missing, damaged, in use, or made with different settings."""


class StudyError(PianogenError):
    """A listening study's folder is missing, damaged, incomplete, or does not permit what was asked for."""


class StorageError(PianogenError):
    """Object storage is unreachable, refuses a request, or holds bytes that do not match its manifest."""


class PluginError(PianogenError):
    """A plugin cannot be imported, fails, or uses a name that is taken; the message names its package."""


class LaunchError(PianogenError):
    """Processes were started incorrectly, such as with fewer ranks than requested."""
