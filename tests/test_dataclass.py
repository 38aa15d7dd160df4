"""The quick dataclasses are what the standard decorator would have made of them."""

from __future__ import annotations

import copy
import dataclasses
import importlib
import inspect
import pickle
import pkgutil
import subprocess
import sys
from typing import Any, ClassVar

import pytest

import nbsocket
from nbsocket._dataclass import dataclass, field


def all_classes() -> list[type[Any]]:
    """Return every class of the package that the quick decorator has made."""
    found: dict[type[Any], None] = {}
    for module in pkgutil.walk_packages(nbsocket.__path__, "nbsocket."):
        if not module.name.endswith(("__main__", "_demo_amqtt")) and "demo_programs" not in module.name:
            for value in vars(importlib.import_module(module.name)).values():
                if isinstance(value, type) and "_nbsocket_fields" in vars(value):
                    found[value] = None
    return list(found)


CLASSES = all_classes()


def standard(cls: type[Any]) -> Any:
    """Make the same class with the standard decorator."""
    rows = []
    for row in dataclasses.fields(cls):
        options = ("default", "default_factory", "init", "repr")
        given: dict[str, Any] = {name: getattr(row, name) for name in options}
        rows.append((row.name, row.type, dataclasses.field(**given)))
    parameters = cls.__dataclass_params__
    return dataclasses.make_dataclass(
        cls.__name__, rows, frozen=parameters.frozen, eq=parameters.eq, slots="__slots__" in vars(cls)
    )


def instance(cls: Any, values: dict[str, object]) -> Any:
    """Return an instance without its own checks of the values."""
    made = object.__new__(cls)
    for name, value in values.items():
        object.__setattr__(made, name, value)
    return made


def test_there_are_many() -> None:
    assert len(CLASSES) > 100


@pytest.mark.parametrize("cls", CLASSES, ids=lambda cls: f"{cls.__module__}.{cls.__name__}")
def test_is_what_the_standard_makes(cls: Any) -> None:
    expected = standard(cls)
    own_init = "__init__" in vars(cls) and cls.__init__.__code__.co_filename != "<string>"
    if not own_init:
        ours, theirs = inspect.signature(cls), inspect.signature(expected)
        assert list(ours.parameters) == list(theirs.parameters)
        for name, parameter in ours.parameters.items():
            assert parameter.kind == theirs.parameters[name].kind
            assert (parameter.default is parameter.empty) == (theirs.parameters[name].default is parameter.empty)
            if name in cls._nbsocket_fields and cls._nbsocket_fields[name].default_factory is dataclasses.MISSING:
                assert parameter.default == theirs.parameters[name].default
    assert cls.__match_args__ == expected.__match_args__
    values: dict[str, object] = {row.name: f"value of {row.name}" for row in dataclasses.fields(cls)}
    one, other = instance(cls, values), instance(cls, values)
    native = instance(expected, values)
    if "__repr__" not in cls.__dict__ or cls.__repr__.__module__ == "nbsocket._dataclass":
        assert repr(one) == repr(native).replace(expected.__qualname__, cls.__qualname__)
    assert (one == other) == (native == instance(expected, values))
    assert one != native
    if values:
        changed = instance(cls, {**values, next(iter(values)): "another"})
        assert one != changed
    assert (cls.__hash__ is None) == (expected.__hash__ is None)
    if cls.__hash__ is not None and expected.__eq__ is not object.__eq__:
        assert hash(one) == hash(native)
    assert ("__dict__" in vars(cls)) == ("__dict__" in vars(expected)) or "__slots__" not in vars(cls)


@dataclass(frozen=True, slots=True)
class Base:
    """A class with defaults."""

    KIND: ClassVar[str] = "base"
    a: int
    b: str = "b"

    def described(self) -> str:
        """Return a sentence; it uses super() below."""
        return f"{self.a} {self.b}"


@dataclass(frozen=True, slots=True)
class Derived(Base):
    """Derives from it; gives ``b`` another default."""

    b: str = "other"
    c: list[int] = field(default_factory=list)

    def __post_init__(self) -> None:
        """Look at the values."""
        if self.a < 0:
            raise ValueError("a must not be negative")

    def described(self) -> str:
        """Return the sentence of the base, and more."""
        return super().described() + "!"


@dataclasses.dataclass(frozen=True)
class StandardOnTop(Derived):
    """A user's own class, by the standard decorator."""

    d: int = 4


@dataclass(slots=True)
class Mutable:
    """Not frozen; one attribute is not given at the call."""

    a: int
    b: int = field(init=False, repr=False, default=2)
    c: int = field(init=False)


def test_inheritance() -> None:
    made = Derived(1)
    assert (made.a, made.b, made.c, made.KIND) == (1, "other", [], "base")
    assert made.c is not Derived(1).c
    assert made.described() == "1 other!"
    assert vars(Derived)["__slots__"] == ("c",)
    assert made != Base(1, "other")
    assert repr(made) == "Derived(a=1, b='other', c=[])"
    with pytest.raises(ValueError, match="negative"):
        Derived(-1)
    with pytest.raises(TypeError, match="missing 1 required positional argument: 'a'"):
        Derived()  # type: ignore[call-arg]  # that is the test


def test_frozen() -> None:
    made = Derived(1)
    with pytest.raises(dataclasses.FrozenInstanceError, match="cannot assign to field 'a'"):
        made.a = 2  # type: ignore[misc]  # that is the test
    with pytest.raises(dataclasses.FrozenInstanceError, match="cannot assign to field 'nothing'"):
        made.nothing = 2  # type: ignore[attr-defined]  # that is the test
    with pytest.raises(dataclasses.FrozenInstanceError, match="cannot delete field 'b'"):
        del made.b


def test_not_frozen() -> None:
    made = Mutable(1)
    made.a, made.c = 5, 7
    assert (made.a, made.b, repr(made)) == (5, 2, "Mutable(a=5, c=7)")
    with pytest.raises(AttributeError):
        made.d = 1  # type: ignore[attr-defined]  # that is the test
    with pytest.raises(TypeError, match="unhashable"):
        hash(made)


@pytest.mark.parametrize("copied", [copy.copy, copy.deepcopy, lambda it: pickle.loads(pickle.dumps(it))])
def test_copies(copied: Any) -> None:
    made = Derived(1, "x", [3])
    assert copied(made) == made
    assert copied(made) is not made


def test_functions_of_the_standard_module() -> None:
    made = Derived(1)
    assert dataclasses.is_dataclass(Derived)
    assert dataclasses.asdict(made) == {"a": 1, "b": "other", "c": []}
    assert dataclasses.astuple(made) == (1, "other", [])
    assert dataclasses.replace(made, a=2) == Derived(2)
    assert [row.type for row in dataclasses.fields(made)] == ["int", "str", "list[int]"]
    assert StandardOnTop(1, d=5) == StandardOnTop(1, "other", [], 5)
    assert hash(Base(1)) == hash((1, "b"))
    match made:
        case Derived(a, b):
            assert (a, b) == (1, "other")


def test_a_standard_base_is_refused() -> None:
    """Its fields would be missed in silence."""
    with pytest.raises(TypeError, match="must be, too"):

        @dataclass(frozen=True)
        class Wrong(StandardOnTop):
            e: int = 1


def test_the_standard_module_is_not_loaded() -> None:
    script = "import sys, nbsocket; print('dataclasses' in sys.modules, 'inspect' in sys.modules)"
    done = subprocess.run([sys.executable, "-S", "-c", script], capture_output=True, text=True, check=False)
    assert done.stdout.split() == ["False", "False"], done.stderr
