"""Whether the engine speaks the language that a request names."""

from __future__ import annotations

from speech_server.engines.base import Capabilities
from speech_server.errors import ApiError, shown


def check_language(tag: str, capabilities: Capabilities) -> None:
    """`tag` is BCP 47, of whatever script or region. Raises ApiError if the engine does not declare its language."""
    language = tag.split("-")[0].lower()
    if language == "cmn":  # Mandarin by its own code
        language = "zh"
    if language in capabilities.languages:
        return
    spoken = ", ".join(capabilities.languages)
    message = f"language: {capabilities.name} {capabilities.version} speaks {spoken}, not {shown(tag)}"
    raise ApiError(400, "language_unsupported", message, "language")
