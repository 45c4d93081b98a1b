"""What holds of every picture, whatever it shows; and what a test asks of one."""

import re
from pathlib import Path
from typing import Final
from xml.etree import ElementTree as ET

from scheduler.web.pictures.frame import Picture

SVG: Final = "{http://www.w3.org/2000/svg}"
STYLES: Final = (
    Path(__file__).resolve().parents[3] / "scheduler/web/pages/static/pictures.css"
).read_text()
_NUMBERS: Final = re.compile(r"-?\d+(?:\.\d+)?")


def parsed(svg: str) -> ET.Element:
    """Return an image: well formed, without what a CSP refuses, and each class has its style."""
    root = ET.fromstring(svg)  # noqa: S314 - our own
    assert root.tag == f"{SVG}svg"
    assert root.get("role") == "img"
    assert root[0].tag == f"{SVG}title"
    assert root[0].text
    for element in root.iter():
        assert element.tag not in (f"{SVG}script", f"{SVG}style", f"{SVG}a")
        assert not {name for name in element.attrib if name == "style" or name.startswith("on")}
        assert not {"fill", "stroke"} & set(element.attrib), "colours are classes"
        for name in (element.get("class") or "").split():
            assert f".{name}" in STYLES or name in _STRUCTURE, name
    return root


_STRUCTURE: Final = {"strip", "week", "load", "year", "plot", "minutes", "name", "shares", "hours"}
"""Classes that only name a part, and have no style of their own."""


def check(picture: Picture) -> ET.Element:
    """Hold a picture to what all are: within its frame, with each state it shows in its legend."""
    root = parsed(picture.svg)
    width, height = map(float, (root.get("viewBox") or "").split()[2:])
    for element in root.iter():
        for name, most in (("x", width), ("cx", width), ("y", height), ("cy", height)):
            if name in element.attrib:
                assert -8 <= float(element.attrib[name]) <= most + 8, ET.tostring(element)
        for number in _NUMBERS.findall(element.get("d") or ""):
            assert abs(float(number)) <= 10_000
    shown = {name for name in classes(root) if name.startswith("s-")}
    told = {name for entry in picture.legend for name in re.findall(r"s-[a-z-]+", entry.svg)}
    assert shown <= told
    assert all(len(row) == len(picture.table.columns) for row in picture.table.rows)
    return root


def classes(root: ET.Element) -> set[str]:
    """Return every class that is used."""
    return {name for element in root.iter() for name in (element.get("class") or "").split()}


def having(root: ET.Element, class_: str) -> list[ET.Element]:
    """Return the elements of a class."""
    return [element for element in root.iter() if class_ in (element.get("class") or "").split()]


def texts(root: ET.Element) -> list[str]:
    """Return what is written, titles left aside."""
    return [element.text or "" for element in root.iter(f"{SVG}text")]


def titles(root: ET.Element) -> list[str]:
    """Return what parts are called."""
    return [element.text or "" for element in root.iter(f"{SVG}title")]
