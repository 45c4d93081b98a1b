"""SVG as text: elements, their attributes, and words that are escaped."""

import re
from functools import cache
from typing import Final, NewType

Svg = NewType("Svg", str)
"""Markup that is well formed: it came from here."""

_FORBIDDEN: Final = "[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]"
"""What XML 1.0 has no way to say."""

_ENTITIES: Final = {"&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;", "'": "&#39;"}
_TO_ESCAPE: Final = re.compile(f"[&<>\"']|{_FORBIDDEN}")


def escape(text: str) -> Svg:
    """Return *text* as it stands in an element or an attribute."""
    return Svg(_TO_ESCAPE.sub(lambda found: _ENTITIES.get(found.group(), "\ufffd"), text))


def tag(name: str, *content: Svg, **attributes: str | float | None) -> Svg:
    """
    Return an element; those *attributes* that are None are left out.

    `class_` is written `class`, and `stroke_width` with a hyphen.
    """
    written = "".join(
        f' {_attribute(key)}="{_value(value)}"'
        for key, value in attributes.items()
        if value is not None
    )
    inner = "".join(content)
    return Svg(f"<{name}{written}>{inner}</{name}>" if inner else f"<{name}{written}/>")


def join(*parts: Svg) -> Svg:
    """Return elements one after the other."""
    return Svg("".join(parts))


def group(*content: Svg, class_: str | None = None) -> Svg:
    """Return elements that share a class."""
    return tag("g", *content, class_=class_)


def title(text: str) -> Svg:
    """Return what an element is called: the first of its content."""
    return Svg(f"<title>{escape(text)}</title>")


def words(
    x: float, y: float, text: str, *, class_: str | None = None, anchor: str | None = None
) -> Svg:
    """Return a line of text with its foot at *y*; *anchor* is start, middle or end."""
    return tag("text", escape(text), x=x, y=y, class_=class_, text_anchor=anchor)


def line(x1: float, y1: float, x2: float, y2: float, *, class_: str) -> Svg:
    """Return a straight line."""
    return tag("path", d=f"M{number(x1)} {number(y1)}L{number(x2)} {number(y2)}", class_=class_)


def rect(x: float, y: float, width: float, height: float, *content: Svg, class_: str) -> Svg:
    """Return a box that is at least visible; most of a picture is boxes: this one is quick."""
    place = f'x="{number(x)}" y="{number(y)}"'
    size = f'width="{number(max(width, 0.5))}" height="{number(max(height, 0.5))}"'
    return Svg(f'<rect {place} {size} class="{escape(class_)}">{"".join(content)}</rect>')


def number(value: float) -> str:
    """Write a coordinate: one digit after the point, and none where it is whole."""
    return f"{round(value, 1) + 0.0:.1f}".removesuffix(".0")


@cache
def _attribute(key: str) -> str:
    return key.rstrip("_").replace("_", "-")


def _value(value: str | float) -> str:
    return escape(value) if isinstance(value, str) else number(value)


LETTER: Final = 6.1
"""How wide a letter of a picture is, about."""


def fit(text: str, width: float) -> str:
    """Return *text* cut to what *width* holds."""
    room = max(1, int(width / LETTER))
    return text if len(text) <= room else text[: max(1, room - 1)].rstrip() + "…"
