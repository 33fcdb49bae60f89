"""The resource types and properties that the rules name are the SDKs' own: a misspelt one would never find anything."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

from tests.sdk_schema import UnknownTypeError, resource_schema

# The SDK warns of its own old classes as it is imported.
pytestmark = pytest.mark.filterwarnings(r"ignore:.*deprecated in favou?r of:DeprecationWarning")

RULES = Path(__file__).resolve().parents[2] / "policy" / "rules"
TYPE = re.compile(r"(aws|alicloud):[a-z0-9]+/[A-Za-z0-9]+:[A-Z][A-Za-z0-9]+")
TYPES = sorted(
    {
        node.value
        for file in RULES.glob("*.py")
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8")))
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and TYPE.fullmatch(node.value)
    }
)


class TestNames:
    @pytest.mark.parametrize("token", TYPES)
    def test_each_type_is_in_its_sdk(self, token: str):
        try:
            assert resource_schema(token).inputs
        except UnknownTypeError as error:
            pytest.fail(str(error))

    def test_each_property_is_an_input_of_one_of_the_types_of_its_file(self):
        for file in RULES.glob("*.py"):
            text = file.read_text(encoding="utf-8")
            inputs = {name for token in TYPES if token in text for name in resource_schema(token).inputs}
            asked = set(re.findall(r"""resource\.(?:get|items)\(\s*"([A-Za-z0-9]+)"\s*\)""", text))
            assert asked <= inputs, f"{file.name}: {sorted(asked - inputs)}"
