"""What is to be priced: a stack, or a stack as it would be in another region or with another instance type."""

from __future__ import annotations

import importlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from components.prices.stack import Bill
from components.settings import SettingsError, StackSettings, load
from tools.checkout import Checkout
from tools.failure import SetupError
from tools.stack_target import stack_target


@dataclass(frozen=True)
class Subject:
    """`name` is for people. `bill` is None where nobody sends one: a stack on this machine."""

    name: str
    bill: Bill | None


def subjects(checkout: Checkout, stacks: list[str], regions: list[str], instance_types: list[str]) -> list[Subject]:
    """Every stack with every region and instance type asked for; none asked for: the stack's own.

    Raises SetupError for a stack without a file, or whose settings cannot be.
    """
    found = []
    for stack in stacks:
        stack_target(checkout, stack)  # refuses what is no stack's name
        file = checkout.stack_file(stack)
        if not file.is_file():
            raise SetupError(f"there is no stack {stack}: {file.name} does not exist")
        for region in regions or [""]:
            for kind in instance_types or [""]:
                name = " ".join(part for part in (stack, region, kind) if part)
                found.append(Subject(name, _bill(checkout, stack, file, region, kind)))
    return found


def _bill(checkout: Checkout, stack: str, file: Path, region: str, kind: str) -> Bill | None:
    config = _config(file)
    if stack_target(checkout, stack) != "local":
        # What whoever deploys it gives must be there, and has no bearing on the price.
        config["indextts2:apiKeys"] = {"price": "0" * 40}
        config.setdefault("indextts2:access", {"allowedCidrs": ["203.0.113.0/24"]})
        config.setdefault("indextts2:image", f"registry.example.com/speech@sha256:{'0' * 64}")
    if region:
        config |= {"indextts2:region": region, "indextts2:zones": []}
    if kind:
        config["indextts2:instanceTypes"] = [kind]
    try:
        settings = load(stack, config, lambda _key: True, checkout.root / "Pulumi.yaml")
    except SettingsError as error:
        raise SetupError(f"{stack}: its settings cannot be priced:\n{error}") from error
    return bill_of(settings)


def bill_of(settings: StackSettings) -> Bill | None:
    """By the target's own part; an SDK is not asked for anything."""
    try:
        module = importlib.import_module(f"components.{settings.target}.price")
    except ModuleNotFoundError as error:
        if error.name != f"components.{settings.target}.price":
            raise
        return None
    return module.bill(settings)


def _config(file: Path) -> dict[str, Any]:
    try:
        config = (yaml.safe_load(file.read_text(encoding="utf-8")) or {}).get("config") or {}
    except yaml.YAMLError as error:
        raise SetupError(f"{file.name} is no YAML: {error}") from error
    # Encrypted values are for Pulumi alone, and none of them has a bearing on the price.
    return {key: value for key, value in config.items() if not _encrypted(value) and key != "indextts2:apiKeys"}


def _encrypted(value: object) -> bool:
    if isinstance(value, dict):
        return "secure" in value or any(_encrypted(one) for one in value.values())
    return isinstance(value, list) and any(_encrypted(one) for one in value)
