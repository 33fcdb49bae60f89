"""A job's id: what it says of when the job came, and which texts are none."""

from __future__ import annotations

import re
import secrets

# Crockford's alphabet, which has no letters that look like digits, in the order of their ASCII codes.
_DIGITS = "0123456789abcdefghjkmnpqrstvwxyz"
_TIME_DIGITS = 10
_RANDOM_DIGITS = 16
_LAST_MILLISECOND = 32**_TIME_DIGITS - 1
_ID = re.compile(f"job_[{_DIGITS}]{{{_TIME_DIGITS + _RANDOM_DIGITS}}}")


def new_job_id(now: float) -> str:
    """An id that sorts before those of all earlier jobs: a bucket lists by name, and the newest are wanted first."""
    left = _LAST_MILLISECOND - round(now * 1000)
    time_digits = "".join(_DIGITS[left >> shift & 31] for shift in range(5 * (_TIME_DIGITS - 1), -1, -5))
    return "job_" + time_digits + "".join(secrets.choice(_DIGITS) for _ in range(_RANDOM_DIGITS))


def is_job_id(text: str) -> bool:
    return _ID.fullmatch(text) is not None


def created_at(job_id: str) -> float:
    """When the job came, in seconds since 1970, to the millisecond."""
    left = 0
    for digit in job_id[4 : 4 + _TIME_DIGITS]:
        left = left << 5 | _DIGITS.index(digit)
    return (_LAST_MILLISECOND - left) / 1000
