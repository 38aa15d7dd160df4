"""Checked reading of a set command's parameters."""

from __future__ import annotations

from ._errors import CommandError
from ._parser import Parameter, split_parameters


class Arguments:
    """The parameters of a set command; every reader raises CommandError with ``code`` for what is not allowed."""

    def __init__(self, tail: str, code: int) -> None:
        self.tail = tail
        self._code = code
        parameters = split_parameters(tail)
        if parameters is None:
            raise CommandError(code)
        self._parameters: list[Parameter | None] = parameters

    def __len__(self) -> int:
        return len(self._parameters)

    def fail(self) -> CommandError:
        """Return the error for parameters that are not allowed."""
        return CommandError(self._code)

    def expect(self, least: int, most: int) -> None:
        """Check how many parameters there are."""
        if not least <= len(self) <= most:
            raise self.fail()

    def _at(self, index: int) -> Parameter | None:
        return self._parameters[index] if index < len(self) else None

    def number(self, index: int, low: int, high: int, default: int | None = None) -> int:
        """Return an integer without quotes; ``default`` stands for an omitted one."""
        parameter = self._at(index)
        if parameter is None:
            if default is None:
                raise self.fail()
            return default
        is_number = parameter.text.isascii() and parameter.text.isdecimal() and len(parameter.text) <= 10
        if parameter.is_quoted or not is_number or not low <= int(parameter.text) <= high:
            raise self.fail()
        return int(parameter.text)

    def text(self, index: int, longest: int, default: str | None = None) -> str:
        """Return a text in quotes of 1 to ``longest`` characters."""
        parameter = self._at(index)
        if parameter is None:
            if default is None:
                raise self.fail()
            return default
        if not parameter.is_quoted or not 1 <= len(parameter.text) <= longest:
            raise self.fail()
        return parameter.text

    def context_id(self, index: int) -> int:
        """Return a contextID: 0 to 11, of which only 0 works."""
        if self.number(index, 0, 11) != 0:
            raise CommandError(555)
        return 0
