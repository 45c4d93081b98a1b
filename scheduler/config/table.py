"""What every table of the configuration has in common."""

from pydantic import BaseModel, ConfigDict


class TomlTable(BaseModel):
    """One table: types as written, no unknown key, never changed once read."""

    model_config = ConfigDict(
        strict=True, extra="forbid", frozen=True, allow_inf_nan=False, use_attribute_docstrings=True
    )
