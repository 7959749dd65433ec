"""Directories of TIFF structures, which TIFF files and EXIF blocks both are, with their values as the bytes they are.

Pillow hands values on as text and numbers, and what it writes of them again may be something else: letters beyond ASCII
become question marks. Here they are taken from one structure to another as they stand.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import Literal

SHORT, LONG, RATIONAL = 3, 4, 5
_SIZES = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8, 13: 4, 16: 8, 17: 8, 18: 8, 129: 1}
"""Bytes of a value, by its type; 16 to 18 are BigTIFF's, 129 is UTF-8 of Exif 3."""
_WORDS = {2: (3, 8), 4: (4, 5, 9, 10, 11, 13), 8: (12, 16, 17, 18)}
_INTEGERS = (1, 3, 4, 13, 16, 18)

EXIF_DIRECTORY, GPS_DIRECTORY, INTEROP_DIRECTORY = 0x8769, 0x8825, 0xA005
DIRECTORIES = (EXIF_DIRECTORY, GPS_DIRECTORY, INTEROP_DIRECTORY)
"""Tags whose values are the places of further directories, in EXIF."""

_MOST, _MOST_ENTRIES = 1000, 2**18  # of directories of a file that are looked at, which may overlap


@dataclass(frozen=True)
class Entry:
    """The value of one tag in a directory. data: `count` values of a type, in the structure's byte order, of which
    nothing is copied before it is needed: many entries may name the same bytes; at: where the entry begins."""

    type: int
    count: int
    data: bytes | memoryview
    at: int = 0


Tree = Mapping[int, "Entry | Tree"]
"""Entries by their tags, and in the place of some further directories."""


@dataclass(frozen=True)
class Directory:
    """The entries of a directory by their tags; next: the place of the next directory of the chain, or 0."""

    entries: dict[int, Entry]
    next: int
    at: int = 0
    end: int = 0


class Structure:
    """A TIFF structure to be read. Whatever lies outside of it, or has an unknown type, is taken for missing."""

    def __init__(self, data: bytes) -> None:
        """Raises ValueError for what does not begin as a TIFF structure does, BigTIFF included."""
        self.data = data
        self.order: Literal["little", "big"] = "little" if data[:2] == b"II" else "big"
        self.is_big = self.number(2, 2) == 43
        if data[:2] not in (b"II", b"MM") or self.number(2, 2) not in (42, 43):
            raise ValueError("no TIFF structure")
        self.first = self.number(8, 8) if self.is_big else self.number(4, 4)

    def number(self, at: int, size: int) -> int:
        """The unsigned integer of `size` bytes at a place; of those beyond the end nothing is left."""
        return int.from_bytes(self.data[at : at + size], self.order)

    def directory(self, at: int) -> Directory:
        """The directory at a place."""
        head, size, word = (8, 20, 8) if self.is_big else (2, 12, 4)
        count = min(self.number(at, head), max(0, len(self.data) - at - head) // size) if at > 0 else 0
        entries: dict[int, Entry] = {}
        for place in range(at + head, at + head + size * count, size):
            type, values = self.number(place + 2, 2), self.number(place + 4, word)
            length = _SIZES.get(type, 0) * values
            inline = place + 4 + word
            begin = inline if length <= word else self.number(inline, word)
            if values and 0 < length <= len(self.data) - begin:
                value = Entry(type, values, memoryview(self.data)[begin : begin + length], place)
                entries.setdefault(self.number(place, 2), value)
        end = at + head + size * count
        return Directory(entries, self.number(end, word) if count else 0, at, end + word)

    def chain(self) -> Iterator[Directory]:
        """The directories of a file's chain, each once."""
        seen: set[int] = set()
        at, count = self.first, 0
        while at and at not in seen and len(seen) < _MOST and count < _MOST_ENTRIES:
            seen.add(at)
            directory = self.directory(at)
            if not directory.entries:
                return
            yield directory
            count += len(directory.entries)
            at = directory.next

    def numbers(self, entry: Entry | None) -> tuple[int, ...]:
        """The values of an entry of unsigned integers; none of another or of no entry."""
        if entry is None or entry.type not in _INTEGERS:
            return ()
        size = _SIZES[entry.type]
        return tuple(int.from_bytes(entry.data[i : i + size], self.order) for i in range(0, len(entry.data), size))

    def fractions(self, entry: Entry | None) -> tuple[Fraction, ...]:
        """The values of an entry of unsigned fractions, those by 0 as 0; none of another or of no entry."""
        if entry is None or entry.type != RATIONAL:
            return ()
        words = [int.from_bytes(entry.data[i : i + 4], self.order) for i in range(0, len(entry.data), 4)]
        return tuple(Fraction(a, b) if b else Fraction() for a, b in zip(words[::2], words[1::2], strict=True))

    def subdirectory(self, entries: Mapping[int, Entry], tag: int) -> Directory | None:
        """The directory whose place is the value of a tag, or None."""
        places = self.numbers(entries.get(tag))
        directory = self.directory(places[0]) if places else None
        return directory if directory and directory.entries else None

    def tree(self, directory: Directory, order: Literal["little", "big"]) -> dict[int, Entry | Tree]:
        """The entries of a directory and of those of EXIF below it, to be written in a byte order. Values that overlap
        are left out as soon as all of them would be longer than the structure."""
        room = len(self.data)

        def entries(directory: Directory, depth: int) -> dict[int, Entry | Tree]:
            nonlocal room
            tree: dict[int, Entry | Tree] = {}
            for tag, entry in directory.entries.items():
                room -= len(entry.data)
                if tag in DIRECTORIES:
                    below = self.subdirectory(directory.entries, tag) if depth < len(DIRECTORIES) else None
                    if below:
                        tree[tag] = entries(below, depth + 1)
                elif room >= 0:
                    data = bytes(entry.data) if order == self.order else _swapped(entry)
                    tree[tag] = Entry(entry.type, entry.count, data)
            return tree

        return entries(directory, 0)


def _swapped(entry: Entry) -> bytes:
    size = next((size for size, types in _WORDS.items() if entry.type in types), 1)
    data = bytes(entry.data)
    return b"".join(data[at : at + size][::-1] for at in range(0, len(data), size))


def written(tree: Tree, at: int, order: Literal["little", "big"]) -> bytes:
    """A directory with its values and the directories below it, as a classic TIFF structure holds it at a place."""
    entries, later = b"", b""
    begin = at + 2 + 12 * len(tree) + 4

    def number(value: int, size: int) -> bytes:
        return value.to_bytes(size, order)

    for tag in sorted(tree):
        value = tree[tag]
        place = number(begin + len(later), 4)
        if isinstance(value, Entry):
            head, data = (value.type, value.count), bytes(value.data)
        else:
            head, data = (LONG, 1), written(value, begin + len(later), order)
        inline = isinstance(value, Entry) and len(data) <= 4
        entries += (
            number(tag, 2) + number(head[0], 2) + number(head[1], 4) + (data.ljust(4, b"\0") if inline else place)
        )
        later += b"" if inline else data + bytes(len(data) % 2)  # directories and values begin at even places
    return number(len(tree), 2) + entries + bytes(4) + later


def new_structure(tree: Tree, order: Literal["little", "big"]) -> bytes:
    """A classic TIFF structure of one directory."""
    magic = b"II*\0" if order == "little" else b"MM\0*"
    return magic + (8).to_bytes(4, order) + written(tree, 8, order)
