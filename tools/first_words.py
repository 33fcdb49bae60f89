"""The first words of a service on this machine, and what to try next."""

from __future__ import annotations

import subprocess

from tools.failure import SetupError
from tools.progress import step
from tools.pulumi_run import Stack

_TEXT = "examples/hello.txt"
_SOUND = "out/hello.wav"


def speak(stack: Stack) -> None:
    """Speaks the example through the load balancer into out/hello.wav. Raises SetupError when that fails."""
    outputs = stack.outputs()
    url, key = outputs.get("url"), outputs.get("apiKey")
    if not isinstance(url, str) or not isinstance(key, str):
        raise SetupError(
            f"the stack {stack.name} has no outputs `url` and `apiKey`; they are what the service is called by"
        )
    root = stack.checkout.root
    (root / _SOUND).parent.mkdir(exist_ok=True)
    # The key goes by the environment: an argument could be read by every user of the machine.
    environment = {**stack.environment, "INDEXTTS2_URL": url, "INDEXTTS2_API_KEY": key}
    with step("First words") as current:
        command = [str(root / ".venv" / "bin" / "indextts2"), "say", "-f", _TEXT, "-o", _SOUND]
        spoken = subprocess.run(command, cwd=root, env=environment, stdin=subprocess.DEVNULL, check=False)
        if spoken.returncode != 0:
            raise SetupError(f"the service at {url} did not speak {_TEXT}: what is wrong is said above")
        current.done(f"{_SOUND} is spoken")
    print(next_steps(stack.name, url))


def next_steps(stack: str, url: str) -> str:
    """What a person can copy into a shell in the checkout. The key is got by a command, never shown."""
    suffix = "" if stack == "local" else f" STACK={stack}"
    return f"""
The service:  {url}
Its API key:  make -s key{suffix}

Try next, from this directory:
  1. curl (the key goes by a pipe, so that it is in no process list)
     printf 'Authorization: Bearer %s' "$(make -s key{suffix})" | curl --fail-with-body -sS -H @- \\
       -H 'Content-Type: application/json' -d '{_REQUEST}' \\
       -o out/question.wav {url}/generate
  2. the openai Python client (pip install openai)
     export OPENAI_BASE_URL={url}/v1 OPENAI_API_KEY="$(make -s key{suffix})"
     python3 -c 'import openai; openai.OpenAI().audio.speech.create(model="tts-1", voice="alloy", input="Good morning!",
     response_format="wav").write_to_file("out/morning.wav")'
  3. make down{suffix}    (stops it; `make up{suffix}` starts it again)
"""


_REQUEST = (
    '{"text": "你为什么要这样做?", "text_with_pinyin": "你为什么yào zhèyàng做?", '
    '"emotion_control": {"type": "text_desc", "description": "愤怒地质问", "intensity": 0.8}, '
    '"duration_ratio": 1.1, "mode": "controlled"}'
)
