"""The programs of a node, made small: the same programs."""

import ast

import pytest

from components.alicloud.shipping import shorn, shorn_script
from components.alicloud.user_data import programs


def meaning(source):
    """The program without its docstrings and its places in the text."""
    tree = ast.parse(source)
    for node in ast.walk(tree):
        body = getattr(node, "body", None)
        if isinstance(body, list):
            kept = [one for one in body if not (isinstance(one, ast.Expr) and isinstance(one.value, ast.Constant))]
            node.body = kept or ([] if isinstance(node, ast.Module) else [ast.Pass()])
    return ast.dump(tree)


class TestShorn:
    @pytest.mark.parametrize(
        "path", [path for path in programs().values() if path.suffix == ".py"], ids=lambda path: path.name
    )
    def test_every_program_means_the_same(self, path):
        source = path.read_text()
        assert meaning(shorn(source)) == meaning(source)
        assert len(shorn(source)) < len(source)

    def test_a_body_of_a_docstring_alone_stays_one(self):
        assert shorn('class A(Exception):\n    """Why."""\n') == "class A(Exception):\n    pass\n"

    def test_text_that_looks_like_a_comment_stays(self):
        source = "a = '''\n# no comment\n\n'''\nb = '#'  # one that stays\n# one that goes\n"
        assert shorn(source) == "a = '''\n# no comment\n\n'''\nb = '#'  # one that stays\n"

    def test_a_text_after_an_attribute_goes_too(self):
        assert shorn('class A:\n    b: int = 1\n    """What it is."""\n') == "class A:\n    b: int = 1\n"

    def test_what_is_no_python_is_refused(self):
        with pytest.raises(SyntaxError):
            shorn("def a(:\n")


class TestShornScript:
    def test_comments_on_lines_of_their_own_go(self):
        source = "#!/bin/bash\n# why\nif true; then\n  # why\n  echo '#'  # stays\nfi\n"
        assert shorn_script(source) == "#!/bin/bash\nif true; then\n  echo '#'  # stays\nfi\n"

    def test_what_is_written_to_a_file_might_look_like_one(self):
        with pytest.raises(ValueError, match="here document"):
            shorn_script("#!/bin/bash\ncat > /a <<'END'\n# no comment\nEND\n")
        assert shorn_script("#!/bin/bash\nread -r a <<<x\n") == "#!/bin/bash\nread -r a <<<x\n"
