"""What the tests of single servers use, here too."""

from tests.inference.server.conftest import shared_server, start_server

__all__ = ["shared_server", "start_server"]
