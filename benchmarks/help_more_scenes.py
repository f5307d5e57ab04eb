"""The scenes of the other half of the help pages: arranging, restoring, editing by words, files (see help_scenes)."""

from __future__ import annotations

from .help_scenes import Scene

SCENES: dict[str, Scene] = {}
