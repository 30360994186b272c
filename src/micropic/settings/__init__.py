"""The settings: a flag, else the environment, else the YAML file, else the default.

Declared in `sections.py`, read by `wiring` and `cli` only; everything else gets values.
"""

from micropic.settings.loading import Knob, SettingsError, cores, knobs, load
from micropic.settings.sections import Settings

__all__ = ["Knob", "Settings", "SettingsError", "cores", "knobs", "load"]
