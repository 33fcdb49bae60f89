"""Deploys a stack, proves that it speaks, and goes back to the image before when it does not.

`python -m tools.deployment.deploy STACK`, for the workflow on main; status 0: the update is in place and speaks.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable
from dataclasses import dataclass

from tools.checkout import here
from tools.deployment import rollout, smoke
from tools.deployment.decision import decide
from tools.environment import recorded_pulumi_bin
from tools.failure import SetupError, exit_status
from tools.pulumi_run import Stack
from tools.setup import with_policy
from tools.stack_target import stack_target

_YES = ("--yes", "--non-interactive")


@dataclass(frozen=True)
class Proof:
    """How an update is proved: `waits` until the new nodes are there, then `speaks`. Each gives why not, or None."""

    waits: Callable[[Stack, dict[str, object]], str | None]
    speaks: Callable[[Stack, dict[str, object]], str | None]


def main(arguments: list[str]) -> None:
    """Deploys the stack. Raises SetupError when it does not speak, whether or not the way back worked."""
    if len(arguments) != 1:
        raise SetupError("give the stack to deploy")
    checkout = here()
    target = stack_target(checkout, arguments[0])
    stack = with_policy(Stack(checkout, arguments[0], target, recorded_pulumi_bin(checkout)))
    deploy(stack, Proof(_wait, _speak))


def deploy(stack: Stack, proof: Proof) -> None:
    """The steps. Raises SetupError as `main` does."""
    before = stack.outputs().get("image")
    print(f"==> pulumi up ({stack.name})", flush=True)
    stack.run("up", *_YES)
    outputs = stack.outputs()
    verdict = decide(before, outputs.get("image"), _failure(stack, proof, outputs))
    if verdict.step == "keep":
        print(f"==> {stack.name}: {verdict.reason}", flush=True)
        return
    if verdict.image is None:
        raise SetupError(verdict.reason)
    print(f"==> {stack.name}: {verdict.reason}", flush=True)
    go_back(stack, verdict.image)
    failure = _failure(stack, proof, stack.outputs())
    if failure:
        raise SetupError(f"{verdict.reason}. That image does not speak either: {failure}", 2)
    raise SetupError(f"{verdict.reason}: done, and it speaks. Revert the change: the next deployment would repeat it")


def go_back(stack: Stack, image: str) -> None:
    """Has the nodes run `image`, and leaves everything else as it is.

    Only the fleet is updated: with a ready image the program would otherwise give up the repository that holds it.
    The setting is for this update alone; the stack's file is as it was afterwards.
    """
    file = stack.checkout.stack_file(stack.name)
    text = file.read_text(encoding="utf-8")
    targets = [argument for urn in fleet_urns(_state(stack)) for argument in ("--target", urn)]
    if not targets:
        raise SetupError(f"the stack {stack.name} has no fleet to go back with")
    try:
        stack.run("up", *_YES, "--skip-preview", "--config", f"indextts2:image={image}", *targets)
    finally:
        file.write_text(text, encoding="utf-8")


def fleet_urns(resources: list[dict[str, object]]) -> list[str]:
    """The URNs of what belongs to the fleet, whatever the target."""
    urns = [str(resource["urn"]) for resource in resources]
    return [urn for urn in urns if ":GpuFleet$" in urn or ":GpuFleet::" in urn]


def _failure(stack: Stack, proof: Proof, outputs: dict[str, object]) -> str | None:
    return proof.waits(stack, outputs) or proof.speaks(stack, outputs)


def _state(stack: Stack) -> list[dict[str, object]]:
    done = stack.ask("stack", "export")
    if done.returncode:
        raise SetupError(f"the state of {stack.name} cannot be read:\n{done.stderr.strip()}")
    return json.loads(done.stdout)["deployment"].get("resources") or []


def _wait(stack: Stack, outputs: dict[str, object]) -> str | None:
    if stack.target != "aws":
        print("    whether the new nodes have taken over is not known here: an old one may answer", flush=True)
        return None
    import boto3  # noqa: PLC0415 (heavy, and only here)

    client = boto3.client("autoscaling", region_name=str(outputs.get("region")))
    return rollout.wait_aws(client, str(outputs.get("fleet")))


def _speak(stack: Stack, outputs: dict[str, object]) -> str | None:
    url = outputs.get("url")
    if not isinstance(url, str):
        return "the stack has no output `url`"
    return smoke.speak(stack.checkout, url, os.environ)


if __name__ == "__main__":
    sys.exit(exit_status(main, sys.argv[1:]))
