"""The body of `POST /v1/jobs`: one clip, or many with what they have in common, and all that is wrong with them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from pydantic import Field

from speech_server.api.generate import GenerateRequest
from speech_server.engines.base import Capabilities
from speech_server.errors import ApiError
from speech_server.jobs.webhook_url import check_webhook_url
from speech_server.order import SpeechOrder, speakable
from speech_server.spoken_language import check_language

MAX_CLIPS = 10_000

_SHOWN_PROBLEMS = 20
# What a clip says of one of these, it says instead of all of them: a clip with a voice does not want the sample that
# the others have in common.
_TOGETHER = (("voice", "reference_audio"), ("duration_ratio", "target_seconds", "mode"))
_OF_ONE_CLIP = ("text", "text_with_pinyin")


class JobRequest(GenerateRequest):
    """The fields of /generate; with `clips`, they hold for every clip that does not say otherwise."""

    clips: list[GenerateRequest] | None = Field(None, min_length=1, max_length=MAX_CLIPS)
    webhook: str | None = Field(None, max_length=2000, description="told when the job has ended: an https:// URL")

    def clip_requests(self) -> list[GenerateRequest]:
        """Each clip with what it shares. Raises ApiError."""
        shared: dict[str, Any] = {
            name: getattr(self, name) for name in GenerateRequest.model_fields if name in self.model_fields_set
        }
        if self.clips is None:
            return [GenerateRequest.model_construct(None, **shared)]
        for name in _OF_ONE_CLIP:
            if name in shared:
                message = f"{name} is what one clip says: put it into the clips, or leave clips out"
                raise ApiError(400, "conflicting_parameters", message, name)
        return [_with_shared(clip, shared) for clip in self.clips]


def checked_orders(
    request: JobRequest, max_text_chars: int, loopback: bool, engine: Capabilities | None
) -> list[tuple[GenerateRequest, SpeechOrder]]:
    """Every clip and its order, all of them speakable as far as plain data can tell. Raises ApiError with what is
    wrong in each of the first clips that have something wrong.

    `engine` is None before it was loaded: a language that it turns out not to speak then fails its clip.
    """
    if request.webhook is not None:
        check_webhook_url(request.webhook, loopback)
    clips = request.clip_requests()
    orders: list[tuple[GenerateRequest, SpeechOrder]] = []
    problems: list[ApiError] = []
    for number, clip in enumerate(clips):
        found = _order_or_problem(clip, max_text_chars, engine)
        if isinstance(found, SpeechOrder):
            orders.append((clip, found))
        elif len(problems) < _SHOWN_PROBLEMS:
            problems.append(of_clip(found, number) if request.clips is not None else found)
    if problems:
        raise together(problems, len(clips) - len(orders))
    return orders


def of_clip(error: ApiError, number: int) -> ApiError:
    """The error of one clip as one of the whole request."""
    where = f"clips.{number}"
    param = where if error.param is None else f"{where}.{error.param}"
    return ApiError(error.status, error.code, f"{where}: {error.message}", param, error.headers)


def together(problems: list[ApiError], count: int) -> ApiError:
    """The first problem's code and field, and the messages of all in `problems`; there are `count` in all."""
    first = problems[0]
    message = "; ".join(problem.message for problem in problems)
    if count > len(problems):
        message += f"; and {count - len(problems):,} more"
    return ApiError(first.status, first.code, message, first.param)


def _order_or_problem(
    clip: GenerateRequest, max_text_chars: int, engine: Capabilities | None
) -> SpeechOrder | ApiError:
    try:
        order = clip.to_order()
        speakable(order, max_text_chars)
        if order.language is not None and engine is not None:
            check_language(order.language, engine)
    except ApiError as error:
        return error
    return order


def _with_shared(clip: GenerateRequest, shared: dict[str, Any]) -> GenerateRequest:
    own = {name: getattr(clip, name) for name in clip.model_fields_set}
    left_out = {name for group in _TOGETHER if _any_of(group, own) for name in group}
    kept = {name: value for name, value in shared.items() if name not in left_out}
    return GenerateRequest.model_construct(None, **{**kept, **own})


def _any_of(group: Iterable[str], own: dict[str, Any]) -> bool:
    return any(name in own for name in group)
