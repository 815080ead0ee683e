"""Read XML files of annotations without following anything that they refer to."""

from __future__ import annotations

from pathlib import Path
from xml.etree import ElementTree

from mmfusion.errors import ScanError
from mmfusion.limits import check_memory

_BYTES = 40.0  # memory of the parsed elements, per byte of the file


def open_xml(path: str | Path, kind: str) -> ElementTree.Element:
    """Return the root element of an XML file.

    Free text in published files can contain bytes that are not UTF-8; they are replaced. A file that declares
    a document type is refused. Annotations have none, and a document type can define entities that expand to
    gigabytes, or that name other files.

    Parameters
    ----------
    path : path
        The file.
    kind : str
        What the file should be, for messages, such as "AIM 4 XML".

    Raises
    ------
    ScanError
        If the file cannot be read, is not XML, declares a document type, or is too large.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     file = Path(folder) / "a.xml"
    ...     _ = file.write_text("<a><b/></a>")
    ...     open_xml(file, "XML").tag
    'a'
    """
    path = Path(path)
    problem = f"not {'an' if kind[0] in 'AEIOU' else 'a'} {kind.split()[0]} file"
    try:
        check_memory(_BYTES * path.stat().st_size, "the file", file=path, error=ScanError)
        text = path.read_bytes().decode("utf-8", errors="replace")
        if "<!doctype" in text.lower():
            raise ScanError(
                "a document type in the file", file=path, expected=kind, got="<!DOCTYPE", hint="remove it"
            )
        return ElementTree.fromstring(text)
    except (OSError, ElementTree.ParseError) as error:
        raise ScanError(problem, file=path, expected=kind, got=error) from error


def name_of(element: ElementTree.Element) -> str:
    """Return the name of an element without its namespace.

    Examples
    --------
    >>> name_of(ElementTree.fromstring("<a:mark xmlns:a='gme://caCORE'/>"))
    'mark'
    """
    return element.tag.rpartition("}")[2]


def elements(root: ElementTree.Element, *names: str) -> list[ElementTree.Element]:
    """Return the elements that have one of these names, at any depth, in the order of the file.

    Examples
    --------
    >>> len(elements(ElementTree.fromstring("<a><b/><c><b/></c></a>"), "b"))
    2
    """
    return [element for element in root.iter() if name_of(element) in names]
