"""The option `--out` of commands that write a folder."""

from jsonargparse import Namespace

from pianogen.errors import SettingError


def out_of(arguments: Namespace) -> str:
    """The folder to write to: an empty name, as of a shell variable that is not set, must not mean the present one.

    Raises:
        SettingError: The name is empty.
    """
    if not arguments.out:
        raise SettingError("setting 'out' is empty; name a folder to write to")
    return arguments.out
