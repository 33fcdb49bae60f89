"""The clients' keys, by the instance's role, into memory. The server reads the file again when it changes."""

import json
import os
import pathlib
import sys
import tempfile

from . import cloud


def main():
    """0 when the keys are in place, 1 when they could not be had; then the former ones stay."""
    try:
        text = fetch(os.environ["KEYS_KIND"], os.environ["KEYS_NAME"])
        keys = json.loads(text)
    except (cloud.CloudError, OSError, ValueError, LookupError) as error:
        # A decoder's own text would show what it could not read.
        return _failed(str(error) if isinstance(error, cloud.CloudError) else type(error).__name__)
    if not (isinstance(keys, dict) and keys):
        return _failed("it is not a JSON object with a key in it")
    if put(text, pathlib.Path(os.environ["KEYS_FILE"]), int(os.environ["SERVER_UID"])):
        sys.stderr.write("keys: changed\n")
    return 0


def fetch(kind, name):
    """The text of a parameter of OOS or of a secret of KMS."""
    if kind == "kms":
        return cloud.call("kms", "GetSecretValue", SecretName=name)["SecretData"]
    return cloud.call("oos", "GetSecretParameter", Name=name, WithDecryption=True)["Parameter"]["Value"]


def put(text, path, owner):
    """Whether the file at `path` had to be changed. It is never there in part, and `owner` alone reads it."""
    if path.exists() and path.read_text(encoding="utf-8") == text:
        return False
    with tempfile.NamedTemporaryFile("w", encoding="utf-8", dir=path.parent.parent, delete=False) as new:
        try:
            new.write(text)
            new.flush()
            os.fchmod(new.fileno(), 0o400)
            os.fchown(new.fileno(), owner, owner)
            pathlib.Path(new.name).replace(path)
        except BaseException:
            pathlib.Path(new.name).unlink()
            raise
    return True


def _failed(why):
    sys.stderr.write(f"keys: {os.environ['KEYS_NAME']}: {why}; the former keys stay\n")
    return 1


if __name__ == "__main__":
    sys.exit(main())
