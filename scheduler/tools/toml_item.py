"""A value as TOML that people like to read."""

from typing import Any

import tomlkit
from tomlkit.items import Item


def toml_item(value: Any) -> Item:
    """Return *value*, tables within it in one line, and a list of such with one a line."""
    match value:
        case dict():
            inline = tomlkit.inline_table()
            for key, each in value.items():
                inline[key] = toml_item(each)
            return inline
        case list():
            array = tomlkit.array()
            for each in value:
                array.append(toml_item(each))
            array.multiline(any(isinstance(each, dict) for each in value))
            return array
        case _:
            item: Item = tomlkit.item(value)
            return item
