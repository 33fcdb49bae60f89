"""What holds for every test."""

import gc


def pytest_collection_finish() -> None:
    """Take what was imported out of the collector's sight: it lives until the end, and the cloud SDKs are so many
    objects that a full collection of a test's own took up to half a second.
    """
    gc.collect()
    gc.freeze()
