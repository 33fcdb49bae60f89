"""The team's state of a stack: `python -m tools.state STACK [options]`; see docs/state.md."""

from __future__ import annotations

import argparse
import re
import sys

from tools.checkout import Checkout, here
from tools.environment import recorded_pulumi_bin
from tools.failure import SetupError, exit_status
from tools.pulumi_run import Stack
from tools.stack_target import stack_target
from tools.state.move import Backend, move
from tools.state.record import Place, place_of

_REGION_LINE = re.compile(r"""^\s+["']?indextts2:region["']?\s*:\s*["']?(?P<region>[a-z0-9-]+)""", re.MULTILINE)


def main(arguments: list[str]) -> None:
    """Makes the place and moves the stack there. Raises SetupError with what to do."""
    parser = argparse.ArgumentParser(prog="make state", description="The team's state of a stack.")
    parser.add_argument("stack")
    parser.add_argument("--region", default="", help="of the bucket and the key on AWS; default: the stack's own")
    parser.add_argument("--from", dest="source", default="", metavar="URL", help="the backend that has the stack now")
    parser.add_argument(
        "--backend", default="", metavar="URL", help="a backend that is there, in place of a new bucket"
    )
    parser.add_argument("--secrets-provider", default="", metavar="URL", help="with --backend: who opens its secrets")
    options = parser.parse_args(arguments)
    checkout = here()
    target = stack_target(checkout, options.stack)
    if target == "local":
        raise SetupError(f"the stack {options.stack} runs on this machine alone, and so does its state (.local/state)")
    place = _place(checkout, target, options)
    stack = Stack(checkout, options.stack, target, recorded_pulumi_bin(checkout))
    source = _source(stack, options.source)
    print(f"==> {move(source, Backend(stack, {'PULUMI_BACKEND_URL': place.backend}), place)}")
    print(f"    state: {place.backend}\n    secrets: {place.secrets_provider}")
    print("    Commit state.json and the stack's file.")


def _source(stack: Stack, given: str) -> Backend | None:
    """Where the stack is now: as given, else where the user's own login leads; None where it has moved already."""
    if given:
        return Backend(stack, {"PULUMI_BACKEND_URL": given})
    return None if place_of(stack.checkout.root, stack.name) else Backend(stack, {})


def _place(checkout: Checkout, target: str, options: argparse.Namespace) -> Place:
    if bool(options.backend) != bool(options.secrets_provider):
        raise SetupError("--backend and --secrets-provider belong together: give both, or neither")
    if options.backend:
        return Place(options.backend, options.secrets_provider)
    if target != "aws" and not options.region:
        raise SetupError(
            f"the stack is on {target}, and Pulumi can keep its state there in no way that was tested (docs/state.md). "
            "Give --region for a bucket and a key on AWS, or --backend and --secrets-provider for a place of your own"
        )
    try:
        from tools.state import aws  # noqa: PLC0415 (boto3 is there only where a stack on AWS is set up)
    except ModuleNotFoundError as error:
        raise SetupError(
            f"{error.name} is missing: this checkout is set up for {target}. Run `make setup-dev` first, which "
            "installs what every target needs"
        ) from error
    return aws.ensure(options.stack, options.region or _region(checkout, options.stack)).place


def _region(checkout: Checkout, stack: str) -> str:
    file = checkout.stack_file(stack)
    match = _REGION_LINE.search(file.read_text(encoding="utf-8")) if file.is_file() else None
    if match is None:
        raise SetupError(f"{file.name} has no indextts2:region; give --region")
    return match["region"]


if __name__ == "__main__":
    sys.exit(exit_status(main, sys.argv[1:]))
