"""Where a server listens, and under which names it answers."""

import ipaddress
import socket
from collections.abc import Sequence
from dataclasses import dataclass

from pianogen.errors import SettingError

LOOPBACK = "127.0.0.1"
_MAX_PORT = 65_535


@dataclass(frozen=True)
class Place:
    """An address and a port to listen on; on another address than the loopback one, public names are needed.

    A server answers only to the names it knows: a page of another site whose name is made to point here (DNS rebinding)
    names its own in the Host header.

    Raises:
        SettingError: The address is not the loopback one and there are no public names, or the port cannot exist.
    """

    port: int
    host: str = LOOPBACK
    public: Sequence[str] = ()
    """Names under which others reach the server, such as study.example.org; with a port if it is not 80 or 443."""

    def __post_init__(self) -> None:
        if not 0 <= self.port <= _MAX_PORT:
            raise SettingError(
                f"setting 'port' is {self.port}, but it must be from 0 to {_MAX_PORT}; 0 takes a free one"
            )
        if not self.is_local and not self.public:
            raise SettingError(
                f"setting 'host' is {self.host!r}, which others can reach; give the name that they will type, such as "
                "--public study.example.org, or leave --host out to serve this machine only"
            )

    @property
    def is_local(self) -> bool:
        """Whether only programs on this machine can reach it."""
        if self.host == "localhost":
            return True
        try:
            return ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return False

    def listen(self) -> socket.socket:
        """Bind the address, so that a taken port is known before anything is printed.

        Raises:
            SettingError: The address cannot be bound.
        """
        family = socket.AF_INET6 if ":" in self.host else socket.AF_INET
        try:
            return socket.create_server((self.host, self.port), family=family, backlog=512)
        except OSError as error:
            where = f"{self.host}:{self.port}"
            raise SettingError(f"cannot listen on {where}: {error.strerror}; choose another with --port") from error

    def names(self, port: int) -> frozenset[str]:
        """The values of a Host header that are answered; `port` is the one that was bound."""
        local = [self._bracketed, "localhost"] if self.is_local else []
        return frozenset([*(f"{name}:{port}" for name in local), *(name.lower() for name in self.public)])

    def url(self, port: int) -> str:
        """The address that a browser on this machine opens, without a slash at its end."""
        return f"http://{self._bracketed}:{port}"

    @property
    def _bracketed(self) -> str:
        """The host as it stands in a URL, where an IPv6 address has brackets."""
        return f"[{self.host}]" if ":" in self.host else self.host
