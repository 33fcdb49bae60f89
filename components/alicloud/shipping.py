"""How the programs of a node are made small enough for its user data."""

from __future__ import annotations

import ast
import io
import re
import tokenize

_HERE_DOCUMENT = re.compile(r"(?<!<)<<(?!<)")


def shorn(source: str) -> str:
    """The same Python without docstrings, comments on lines of their own and empty lines.

    It is the same text on every Python: what a node runs must not change with the one that deploys it.
    Raises SyntaxError.
    """
    tree = ast.parse(source)
    lines = source.splitlines()
    gone = {
        token.start[0]
        for token in tokenize.generate_tokens(io.StringIO(source).readline)
        if token.type in (tokenize.COMMENT, tokenize.NL) and not lines[token.start[0] - 1].partition("#")[0].strip()
    }
    kept_in_place: dict[int, str] = {}
    for node in ast.walk(tree):
        body = getattr(node, "body", None)
        for one in body if isinstance(body, list) else []:
            if not _is_text_alone(one):
                continue
            gone.update(range(one.lineno, (one.end_lineno or one.lineno) + 1))
            # A body of nothing but a docstring needs something in its place.
            if body and all(_is_text_alone(other) for other in body) and not isinstance(node, ast.Module):
                kept_in_place[one.lineno] = " " * one.col_offset + "pass"
    kept = [
        kept_in_place.get(number, line)
        for number, line in enumerate(lines, 1)
        if number not in gone or number in kept_in_place
    ]
    return "".join(f"{line}\n" for line in kept)


def shorn_script(source: str) -> str:
    """The same shell script without comments on lines of their own.

    Raises ValueError for one with a here document, in which such a line would be no comment.
    """
    if _HERE_DOCUMENT.search(source):
        raise ValueError("a script with a here document cannot be made smaller line by line")
    first, *lines = source.splitlines(keepends=True)
    return first + "".join(line for line in lines if not line.lstrip().startswith("#"))


def _is_text_alone(node: ast.AST) -> bool:
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)
