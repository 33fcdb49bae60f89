"""What can go wrong with weights, each with the status that a program ends with: a number for every remedy."""

from __future__ import annotations

import errno
import re
from enum import IntEnum
from pathlib import Path

from obstore.exceptions import PermissionDeniedError, UnauthenticatedError

from speech_server.storage.store import reason_of


class Exit(IntEnum):
    """Exit statuses; where sysexits.h has a word for it, its number."""

    DONE = 0
    CONTENT = 65  # not what its manifest or its hub says
    ABSENT = 66  # nothing there, and nowhere to take it from
    UNREACHABLE = 69  # the store or the hub; the same again may succeed
    CLOCK = 71
    DISK = 73
    ACCESS = 77
    SETTINGS = 78


class TransferError(Exception):
    """The message says what is wrong, where, and what to do."""

    def __init__(self, status: Exit, message: str) -> None:
        super().__init__(message)
        self.status = status


# As S3 answers, and as `storage/oss.py` says it of OSS's own protocol.
_CODE = re.compile(r"<Code>([A-Za-z0-9.]{1,64})</Code>|^4\d\d ([A-Za-z0-9.]{1,64})$")
# https://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html and
# https://www.alibabacloud.com/help/en/oss/user-guide/http-status-code-403
_CLOCK_CODES = ("RequestTimeTooSkewed", "RequestExpired")
_KEY_CODES = ("InvalidAccessKeyId", "SignatureDoesNotMatch", "ExpiredToken", "InvalidToken", "InvalidSecurityToken")


def store_failure(error: BaseException, key: str) -> TransferError:
    """What a store's library raised about the object or folder `key`."""
    found = _CODE.search(str(error))
    code = (found[1] or found[2]) if found else ""
    if code in _CLOCK_CODES:
        return TransferError(
            Exit.CLOCK,
            f"{key}: the store refuses the request's time ({code}): this machine's clock is wrong by over 15 minutes; "
            "set it (chronyc makestep, timedatectl set-ntp true) and try again",
        )
    if code == "NoSuchBucket":
        return TransferError(Exit.SETTINGS, f"{key}: there is no such bucket (NoSuchBucket): check the store's URL")
    if code in _KEY_CODES or isinstance(error, UnauthenticatedError):
        return TransferError(
            Exit.ACCESS, f"{key}: the store does not know who asks ({code or 'no credentials'}): check the role or keys"
        )
    if code == "AccessDenied" or isinstance(error, (PermissionDeniedError, PermissionError)):
        return TransferError(
            Exit.ACCESS,
            f"{key}: the store denies access ({code or 'no reason given'}): the role needs to list and get objects "
            "below weights/, and to put them there for a push or a first fill",
        )
    if code == "InvalidRange" or "range" in str(error).partition("\n")[0].lower().partition("error performing")[0]:
        return TransferError(Exit.CONTENT, f"{key}: shorter than its manifest says: push the weights again")
    if isinstance(error, FileNotFoundError):
        return TransferError(Exit.ABSENT, f"{key}: there is no such object")
    return TransferError(Exit.UNREACHABLE, f"{key}: the store cannot be used now: {_shown(error, code)}")


def is_passing(failure: TransferError) -> bool:
    """Whether the same call may succeed by itself in a moment."""
    return failure.status == Exit.UNREACHABLE


def disk_failure(error: OSError, path: Path) -> TransferError:
    """What the disk of the weights folder refused."""
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        advice = "the disk is full: free space or use a larger disk, then start again; what is there is kept"
    elif error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
        advice = "this user may not write there: change the folder's owner, or take another folder"
    elif error.errno == errno.ELOOP:
        advice = "a symbolic link is in its place: remove it"
    else:
        advice = "the disk failed"
    return TransferError(Exit.DISK, f"{path}: {advice} ({error.strerror or type(error).__name__})")


def _shown(error: BaseException, code: str) -> str:
    return f"{code}: {reason_of(error)}" if code else reason_of(error)
