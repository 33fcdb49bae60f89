"""The end of `make up`, with stand-ins for the CLI and for `indextts2`."""

from __future__ import annotations

import subprocess

import pytest

from tests.tools.conftest import Script
from tools.checkout import Checkout
from tools.failure import SetupError
from tools.first_words import next_steps, speak
from tools.pulumi_run import Stack

KEY = "key-of-thirty-two-characters-0001"


@pytest.fixture
def stack(checkout: Checkout, script: Script) -> Stack:
    outputs = f'{{"url": "http://127.0.0.1:8080", "apiKey": "{KEY}"}}'
    script(checkout.root / "cli" / "pulumi", f"echo '{outputs}'")
    script(
        checkout.venv / "bin" / "indextts2",
        'echo "$*" > arguments; echo "$INDEXTTS2_URL $INDEXTTS2_API_KEY" > variables; : > "$5"',
    )
    return Stack(checkout, "local", "local", checkout.root / "cli")


class TestSpeak:
    def test_the_key_goes_by_the_environment_and_is_not_shown(
        self, stack: Stack, capfd: pytest.CaptureFixture[str]
    ) -> None:
        speak(stack)
        root = stack.checkout.root
        assert (root / "arguments").read_text() == "say -f examples/hello.txt -o out/hello.wav\n"
        assert (root / "variables").read_text() == f"http://127.0.0.1:8080 {KEY}\n"
        assert (root / "out" / "hello.wav").exists()
        shown = capfd.readouterr()
        assert KEY not in shown.out + shown.err
        assert "http://127.0.0.1:8080" in shown.out
        assert "make -s key" in shown.out

    def test_a_service_that_does_not_speak_is_an_error(self, stack: Stack, script: Script) -> None:
        script(stack.checkout.venv / "bin" / "indextts2", "exit 1")
        with pytest.raises(SetupError, match=r"http://127\.0\.0\.1:8080 did not speak examples/hello\.txt"):
            speak(stack)

    def test_missing_outputs_are_named(self, stack: Stack, script: Script) -> None:
        script(stack.pulumi_bin / "pulumi", "echo '{}'")
        with pytest.raises(SetupError, match="no outputs `url` and `apiKey`"):
            speak(stack)


class TestNextSteps:
    def test_what_is_shown_can_be_pasted(self) -> None:
        lines = next_steps("second", "http://127.0.0.1:9000").splitlines()
        commands = [line for line in lines if line.startswith("     ")]
        subprocess.run(["sh", "-n", "-c", "\n".join(commands)], check=True)
        assert "http://127.0.0.1:9000/generate" in commands[2]
        assert sum("make -s key STACK=second" in line for line in lines) == 3
        assert any("make down STACK=second" in line for line in lines)
