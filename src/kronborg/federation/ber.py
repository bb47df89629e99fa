"""The Basic Encoding Rules as LDAP uses them (RFC 4511 §5.1): definite lengths, tags of one byte, bounded depth."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

BOOLEAN, INTEGER, OCTETS, ENUMERATED = 0x01, 0x02, 0x04, 0x0A
SEQUENCE, SET = 0x30, 0x31


class NotBer(ValueError):
    """Bytes that LDAP's encoding does not produce. The text is fixed and echoes nothing."""


def element(tag: int, content: bytes) -> bytes:
    """One element with its tag and length."""
    size = len(content)
    if size < 0x80:
        return bytes((tag, size)) + content
    length = size.to_bytes((size.bit_length() + 7) // 8, "big")
    return bytes((tag, 0x80 | len(length))) + length + content


def sequence(parts: Iterable[bytes], tag: int = SEQUENCE) -> bytes:
    """Encoded elements as the content of one."""
    return element(tag, b"".join(parts))


def integer(value: int, tag: int = INTEGER) -> bytes:
    """A signed number in as few bytes as it takes."""
    return element(tag, value.to_bytes(value.bit_length() // 8 + 1, "big", signed=True))


def octets(value: bytes | str, tag: int = OCTETS) -> bytes:
    """A string: text is UTF-8 (RFC 4511 §4.1.2)."""
    return element(tag, value.encode() if isinstance(value, str) else value)


def boolean(value: bool) -> bytes:
    """RFC 4511 §5.1: TRUE is 0xFF."""
    return element(BOOLEAN, b"\xff" if value else b"\x00")


def size_of(head: bytes | bytearray) -> int | None:
    """How many bytes the element at the start takes with its head; None while that cannot be told. Raises `NotBer`."""
    if len(head) < 2:
        return None
    if head[0] & 0x1F == 0x1F:
        raise NotBer("a tag of several bytes")
    first = head[1]
    if first < 0x80:
        return 2 + first
    count = first & 0x7F
    # RFC 4511 §5.1: only the definite form; four bytes of length are more than we ever take.
    if not 1 <= count <= 4:
        raise NotBer("a length that LDAP does not use")
    if len(head) < 2 + count:
        return None
    return 2 + count + int.from_bytes(head[2 : 2 + count], "big")


def elements(content: bytes) -> Iterator[tuple[int, bytes]]:
    """(tag, content) of each element in a row. Raises `NotBer` for anything left over."""
    at = 0
    while at < len(content):
        whole = size_of(content[at : at + 6])
        if whole is None or at + whole > len(content):
            raise NotBer("an element is cut off")
        first = content[at + 1]
        head = 2 if first < 0x80 else 2 + (first & 0x7F)
        yield content[at], content[at + head : at + whole]
        at += whole


def whole_number(content: bytes) -> int:
    """The value of an INTEGER or ENUMERATED. Raises `NotBer`."""
    if not 1 <= len(content) <= 8:
        raise NotBer("not a number that LDAP uses")
    return int.from_bytes(content, "big", signed=True)
