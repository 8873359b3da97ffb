"""The base of every table of a case's TOML file."""

from pydantic import BaseModel, ConfigDict


class Table(BaseModel):
    """Unknown keys are refused; values do not change."""

    model_config = ConfigDict(extra="forbid", frozen=True)
