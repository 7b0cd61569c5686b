"""XML from strangers: no entities are declared, nothing is fetched."""

import xml.etree.ElementTree as ElementTree

from pianogen.errors import SourceError


def parse_xml(data: bytes) -> ElementTree.Element:
    """The root element, decoded as the XML declaration or byte order mark says.

    An entity that refers to others can grow without limit, and older versions of expat let it. No score needs one, so a
    file that declares any is refused. The document type's external file is never opened.

    Raises:
        SourceError: It is not well-formed XML, or declares entities.
    """
    if b"<!ENTITY" in data.replace(b"\0", b""):  # without the zero bytes of UTF-16
        raise SourceError("it declares XML entities, which could grow without limit; write them out")
    try:
        return ElementTree.fromstring(data)
    except (ElementTree.ParseError, LookupError, ValueError) as error:  # the others: an encoding that is not known
        raise SourceError(f"it is not a readable MusicXML file: {' '.join(str(error).split())}") from error
