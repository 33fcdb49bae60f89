"""Logs docker in to the registry: with a password of an hour's life by the instance's role, or with the one kept."""

import os
import subprocess
import sys

from . import cloud, keys


def main():
    """0 when docker is logged in."""
    try:
        user, password = credentials(os.environ)
    except (cloud.CloudError, OSError, LookupError) as error:
        what = str(error) if isinstance(error, cloud.CloudError) else type(error).__name__
        sys.stderr.write(f"registry: no password: {what}\n")
        return 1
    command = ["docker", "login", "--username", user, "--password-stdin", os.environ["REGISTRY_HOST"]]
    # Docker warns that it keeps the password in a file; that file is in memory.
    done = subprocess.run(command, input=password, text=True, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    if done.returncode:
        sys.stderr.write(f"registry: docker login ended with {done.returncode}\n")
    return done.returncode


def credentials(node):
    """User and password. Raises CloudError, and KeyError where the answer lacks one."""
    if node["REGISTRY_INSTANCE"]:
        found = cloud.call("cr", "GetAuthorizationToken", InstanceId=node["REGISTRY_INSTANCE"])
        return found["TempUsername"], found["AuthorizationToken"]
    return node["REGISTRY_USER"], keys.fetch("parameter", node["REGISTRY_PASSWORD"])


if __name__ == "__main__":
    sys.exit(main())
