"""Makes docstrings ready for the site: griffe wants a blank line before each section and knows no roles of Sphinx."""

from __future__ import annotations

import re

import griffe

_ROLE_RE = re.compile(r":(?:func|meth|class|mod|attr|data|exc):`~?([^`]+)`")
_SECTION_RE = re.compile(r"(?<!\n)\n(\s*)(Returns|Raises|Yields|Args|Thread|Source):", re.MULTILINE)


class Docstrings(griffe.Extension):
    """Rewrites each docstring as it is loaded."""

    def on_object(self, *, obj: griffe.Object, loader: griffe.GriffeLoader, **others: object) -> None:
        """Rewrite one."""
        if obj.docstring is not None:
            text = _SECTION_RE.sub(r"\n\n\1\2:", obj.docstring.value)
            obj.docstring.value = _ROLE_RE.sub(r"`\1`", text.replace("``", "`"))
