"""Object storage: the folder at a URL that the user gave is fetched once per node, verified, and used locally."""

from pianogen.storage.address import Address, is_name, is_url
from pianogen.storage.cache import cache_folder, fetch, is_copy, keep_copy
from pianogen.storage.expected import Expected
from pianogen.storage.remote import Remote
from pianogen.storage.transport import UnreadableError
from pianogen.storage.working import WorkingCopy, working_copy

__all__ = [
    "Address",
    "Expected",
    "Remote",
    "UnreadableError",
    "WorkingCopy",
    "cache_folder",
    "fetch",
    "is_copy",
    "is_name",
    "is_url",
    "keep_copy",
    "working_copy",
]
