"""The base of all settings, from one loss to a whole command."""

from pydantic import BaseModel, ConfigDict


class Settings(BaseModel):
    """A frozen record of settings. An unknown key is an error and is never ignored; every number is finite."""

    model_config = ConfigDict(frozen=True, extra="forbid", validate_default=True, allow_inf_nan=False)
