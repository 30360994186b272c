"""Previews of pictures that live on other people's servers."""

from importlib.metadata import version

__version__ = version("micropic")
