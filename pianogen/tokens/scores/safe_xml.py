"""Parsing of untrusted XML: entities are refused, and nothing is fetched."""

import xml.etree.ElementTree as ElementTree

from pianogen.errors import SourceError


def parse_xml(data: bytes) -> ElementTree.Element:
    """Parse XML, in the encoding of its declaration or byte order mark, and return the root element.

    Nested entities can expand exponentially in older versions of expat. No score needs entities, so a file that
    declares any is refused. An external DTD is never opened.

    Raises:
        SourceError: The data is not well-formed XML, or declares entities.
    """
    if b"<!ENTITY" in data.replace(b"\0", b""):  # without the zero bytes of UTF-16
        raise SourceError("it declares XML entities, which can expand without limit; replace them by their text")
    try:
        return ElementTree.fromstring(data)
    except (ElementTree.ParseError, LookupError, ValueError) as error:  # an unknown encoding raises the last two
        raise SourceError(f"it is not a valid MusicXML file: {' '.join(str(error).split())}") from error
