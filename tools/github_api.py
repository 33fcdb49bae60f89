"""GitHub's REST API, as far as the tools ask it."""

from __future__ import annotations

import json
import re
import urllib.error
import urllib.request
from collections.abc import Mapping
from typing import Any

from tools.failure import SetupError

_REPOSITORY = re.compile(r"[A-Za-z0-9_.-]+/[A-Za-z0-9_.-]+")
_SECONDS = 30


class GitHubApi:
    """One repository, with a workflow's token."""

    def __init__(self, api: str, repository: str, token: str) -> None:
        self._root = f"{api}/repos/{repository}"
        self._token = token
        # Without a handler of redirects: one would carry the token to wherever it leads.
        self._opener = urllib.request.OpenerDirector()
        for handler in (
            urllib.request.ProxyHandler(),
            urllib.request.HTTPHandler(),
            urllib.request.HTTPSHandler(),
            urllib.request.HTTPDefaultErrorHandler(),
            urllib.request.HTTPErrorProcessor(),
        ):
            self._opener.add_handler(handler)

    @classmethod
    def of(cls, environment: Mapping[str, str]) -> GitHubApi:
        """By GITHUB_API_URL, GITHUB_REPOSITORY and GITHUB_TOKEN. Raises SetupError that names what is wrong."""
        api = environment.get("GITHUB_API_URL") or "https://api.github.com"
        repository, token = environment.get("GITHUB_REPOSITORY", ""), environment.get("GITHUB_TOKEN", "")
        if not api.startswith(("https://", "http://127.0.0.1:")):
            raise SetupError("GITHUB_API_URL is no https address: the token would be sent in the clear")
        if not _REPOSITORY.fullmatch(repository):
            raise SetupError(f"GITHUB_REPOSITORY={repository!r} is no owner/name")
        if not token:
            raise SetupError("GITHUB_TOKEN is missing; give the workflow's own")
        return cls(api, repository, token)

    def call(self, method: str, path: str, body: Mapping[str, str] | None = None) -> Any:
        """The answer's JSON; `path` is below the repository. Raises SetupError, in which the token never is."""
        url = f"{self._root}/{path}"
        request = urllib.request.Request(  # noqa: S310 (https alone: `of` sees to it)
            url,
            None if body is None else json.dumps(body).encode(),
            {
                "Accept": "application/vnd.github+json",
                "Authorization": f"Bearer {self._token}",
                "Content-Type": "application/json",
                "User-Agent": "indextts2-tools",
                "X-GitHub-Api-Version": "2022-11-28",
            },
            method=method,
        )
        try:
            with self._opener.open(request, timeout=_SECONDS) as answer:
                return json.loads(answer.read())
        except urllib.error.HTTPError as error:
            with error:
                said = error.read(300).decode(errors="replace")
            advice = "; has the job the permission? A fork's never has more than to read" if error.code == 403 else ""
            raise SetupError(f"GitHub answered {error.code} to {method} {url}: {said}{advice}") from None
        except (OSError, ValueError) as error:
            raise SetupError(f"GitHub does not answer at {url}: {error}") from None
