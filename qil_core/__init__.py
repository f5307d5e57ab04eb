"""Layers of pictures: take apart, edit, composite, export. Never imports ComfyUI; see `qil --help`."""

__version__ = "0.2.0"
