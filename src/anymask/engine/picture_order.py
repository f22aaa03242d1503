"""The order in which people list files: img2 before img10, capitals among small letters."""

import re

_NUMBER = re.compile(r"([0-9]+)")


def order_key(name: str) -> bytes:
    """Make a key from a picture's name whose order, byte by byte, is the natural one; different names differ in it.

    Bytes are compared alike by every database, where text depends on the language that it was set up for.

    Args:
        name: a path with forward slashes; a folder's content stands where its name stands.
    """
    key = bytearray()
    for part in re.split(r"(/)", name.casefold()):
        if part == "/":
            key += b"\0"
            continue
        for piece in _NUMBER.split(part):
            if piece.isascii() and piece.isdigit():
                digits = piece.lstrip("0")
                # A longer number is a larger one; the zero in front puts numbers where digits stand among letters.
                key += b"0" + min(len(digits), 255).to_bytes(1, "big") + digits.encode()
            else:
                key += piece.encode(errors="surrogatepass")
    return bytes(key) + b"\0\0" + name.encode(errors="surrogatepass")
