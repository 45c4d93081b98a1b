"""What a picture is to a page: the image, its legend, and the table under it."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from scheduler.web.pictures.svg import Svg, tag, title, words

WIDTH: Final = 960
"""Of a picture as wide as a page, in its own units: about a pixel at 1280."""


@dataclass(frozen=True, slots=True)
class Key:
    """One entry of a legend: a small image, and what it means."""

    svg: Svg
    means: str


@dataclass(frozen=True, slots=True)
class Table:
    """The values of a picture as rows of text, for whoever reads them better than it."""

    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Picture:
    """*says* is the picture in a sentence; where it *is_empty* there was nothing to draw."""

    svg: Svg
    says: str
    legend: tuple[Key, ...]
    table: Table
    is_empty: bool = False


def image(
    *content: Svg, says: str, height: float, width: float = WIDTH, class_: str = "picture"
) -> Svg:
    """Return a whole image, which *says* something to whoever cannot see it."""
    return tag(
        "svg",
        title(says),
        *content,
        xmlns="http://www.w3.org/2000/svg",
        class_=class_,
        viewBox=f"0 0 {width:g} {height:g}",
        role="img",
    )


def key(content: Svg, means: str) -> Key:
    """Return an entry of a legend; *content* fills a box of 16 by 12."""
    svg = tag("svg", content, class_="key", viewBox="0 0 16 12", aria_hidden="true")
    return Key(svg, means)


def nothing(
    says: str, columns: Sequence[str], *, height: float = 60, width: float = WIDTH
) -> Picture:
    """Return the picture of no values: what would be there is said."""
    said = words(width / 2, height / 2 + 4, says, class_="faint", anchor="middle")
    return Picture(
        svg=image(said, says=says, height=height, width=width, class_="picture plot"),
        says=says,
        legend=(),
        table=Table(tuple(columns), ()),
        is_empty=True,
    )
