"""The base of all settings, from one loss to a whole command."""

from pydantic import BaseModel, ConfigDict


class Settings(BaseModel):
    """A frozen record of settings. An unknown key is an error and is never ignored."""

    model_config = ConfigDict(frozen=True, extra="forbid", validate_default=True)
