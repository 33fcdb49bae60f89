"""A speech service around one text-to-speech engine: HTTP in front, the engine in a process of its own behind."""

__version__ = "0.1.0"
