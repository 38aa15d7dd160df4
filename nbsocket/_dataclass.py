"""The part of the standard :func:`dataclasses.dataclass` that this package uses, made quickly.

The standard decorator compiles up to six functions a class, 0.5 to 1 ms, and its module imports :mod:`inspect`. For the
150 small classes of this package that was a third of the time in which ``nbsocket run`` starts. This decorator compiles
one function a class; the others are closures. Type checkers take it for the standard one.

The classes are dataclasses to everybody else: :func:`dataclasses.fields`, ``asdict``, ``replace`` and subclasses that
the standard decorator makes work. ``tests/test_dataclass.py`` compares each class with what the standard makes of it.
"""

from __future__ import annotations

from collections.abc import Callable
from operator import attrgetter
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from dataclasses import dataclass, field

__all__ = ["dataclass", "field"]

#: Stands for a default that is not there.
_MISSING = object()

_FIELDS = "__dataclass_fields__"
_ROWS = "_nbsocket_fields"


class _Field:
    """What is known of one attribute; the arguments of :func:`dataclasses.field`."""

    __slots__ = ("default", "default_factory", "init", "name", "repr", "type")

    def __init__(self, default: object, default_factory: Any, init: bool, repr: bool) -> None:
        self.name = ""
        self.type: object = None
        self.default = default
        self.default_factory = default_factory
        self.init = init
        self.repr = repr


def _field(*, default: Any = _MISSING, default_factory: Any = _MISSING, init: bool = True, repr: bool = True) -> Any:
    """Tell more of an attribute, as :func:`dataclasses.field` does."""
    return _Field(default, default_factory, init, repr)


def _dataclass(cls: Any = None, *, frozen: bool = False, slots: bool = False, eq: bool = True) -> Any:
    """Do what :func:`dataclasses.dataclass` does."""
    if cls is None:
        return lambda cls: _make(cls, frozen, slots, eq)
    return _make(cls, frozen, slots, eq)


if not TYPE_CHECKING:
    dataclass, field = _dataclass, _field


def _make(cls: Any, frozen: bool, slots: bool, eq: bool) -> Any:
    rows: dict[str, _Field] = {}
    for base in reversed(cls.__mro__[1:]):
        if _FIELDS in base.__dict__ and _ROWS not in base.__dict__:
            raise TypeError(f"{base} was made by the standard decorator, so {cls} must be, too")
        rows.update(base.__dict__.get(_ROWS, {}))
    own = _own_fields(cls)
    rows.update(own)
    if slots:
        cls = _with_slots(cls, own)
    names = tuple(rows)
    setattr(cls, _ROWS, rows)
    setattr(cls, _FIELDS, _StandardFields())
    cls.__dataclass_params__ = _StandardParameters(frozen, eq)
    cls.__match_args__ = tuple(row.name for row in rows.values() if row.init)  # type: ignore[misc]  # mypy's Any has it
    namespace = cls.__dict__
    if "__init__" not in namespace:
        cls.__init__ = _make_init(cls, rows, frozen)
    if "__repr__" not in namespace:
        cls.__repr__ = _make_repr(tuple(row.name for row in rows.values() if row.repr))
    if eq:
        values_of = _make_getter(names)
        if "__eq__" not in namespace:
            cls.__eq__ = _make_eq(values_of)
        if "__hash__" not in namespace or namespace["__hash__"] is None:
            cls.__hash__ = (lambda self: hash(values_of(self))) if frozen else None
    if frozen:
        cls.__setattr__, cls.__delattr__ = _make_guards(cls, frozenset(names))
        if slots:
            # copy and pickle would set the attributes one by one.
            cls.__getstate__, cls.__setstate__ = _make_state(names)
    return cls


def _own_fields(cls: Any) -> dict[str, _Field]:
    """Return the fields that the class itself declares, and leave their plain defaults as its attributes."""
    found: dict[str, _Field] = {}
    # The modules say `from __future__ import annotations`: these are texts.
    for name, text in cls.__annotations__.items():
        if text.startswith(("ClassVar", "typing.ClassVar")):
            continue
        default = cls.__dict__.get(name, _MISSING)
        row = default if isinstance(default, _Field) else _Field(default, _MISSING, True, True)
        row.name, row.type = name, text
        if row.default is not _MISSING:
            setattr(cls, name, row.default)
        elif default is not _MISSING:
            delattr(cls, name)
        found[name] = row
    return found


def _with_slots(cls: Any, own: dict[str, _Field]) -> Any:
    """Return the same class with ``__slots__``: they can only be given when a class is made."""
    inherited = {name for base in cls.__mro__[1:] for name in base.__dict__.get("__slots__", ())}
    namespace = {name: value for name, value in cls.__dict__.items() if name not in own}
    namespace["__slots__"] = tuple(name for name in own if name not in inherited)
    namespace.pop("__dict__", None)
    namespace.pop("__weakref__", None)
    made = type(cls)(cls.__name__, cls.__bases__, namespace)
    made.__qualname__ = cls.__qualname__
    # What refers to the first class from inside its methods, as super() does, must mean the second.
    for value in namespace.values():
        function = getattr(value, "__func__", getattr(value, "fget", value))
        for cell in getattr(function, "__closure__", None) or ():
            try:
                is_first = cell.cell_contents is cls
            except ValueError:  # empty
                continue
            if is_first:
                cell.cell_contents = made
    return made


def _make_init(cls: Any, rows: dict[str, _Field], frozen: bool) -> Callable[..., None]:
    scope: dict[str, Any] = {"_MISSING": _MISSING, "_set": object.__setattr__}
    parameters, body = ["self"], []
    for name, row in rows.items():
        value = name
        if row.default_factory is not _MISSING:
            scope[f"_make_{name}"] = row.default_factory
            value = f"_make_{name}() if {name} is _MISSING else {name}" if row.init else f"_make_{name}()"
            parameter = f"{name}=_MISSING"
        elif row.default is not _MISSING:
            scope[f"_default_{name}"] = row.default
            parameter = f"{name}=_default_{name}"
        else:
            parameter = name
        if row.init:
            parameters.append(parameter)
        elif row.default is not _MISSING:
            value = f"_default_{name}"
        elif row.default_factory is _MISSING:
            continue
        body.append(f" _set(self, {name!r}, {value})" if frozen else f" self.{name} = {value}")
    if hasattr(cls, "__post_init__"):
        body.append(" self.__post_init__()")
    exec(f"def __init__({', '.join(parameters)}):\n" + ("\n".join(body) or " pass"), scope)
    init: Callable[..., None] = scope["__init__"]
    init.__qualname__ = f"{cls.__qualname__}.__init__"
    init.__module__ = cls.__module__
    init.__annotations__ = {name: row.type for name, row in rows.items() if row.init} | {"return": None}
    return init


def _make_getter(names: tuple[str, ...]) -> Callable[[Any], tuple[Any, ...]]:
    """Return the function that gives the values of an instance."""
    if len(names) > 1:
        return attrgetter(*names)
    return lambda instance: tuple(getattr(instance, name) for name in names)


def _make_repr(names: tuple[str, ...]) -> Callable[[Any], str]:
    def __repr__(self: Any) -> str:
        return f"{type(self).__qualname__}({', '.join(f'{name}={getattr(self, name)!r}' for name in names)})"

    return __repr__


def _make_eq(values_of: Callable[[Any], tuple[Any, ...]]) -> Callable[[Any, object], bool]:
    def __eq__(self: Any, other: object) -> bool:
        return values_of(self) == values_of(other) if type(other) is type(self) else NotImplemented

    return __eq__


def _make_guards(cls: Any, names: frozenset[str]) -> tuple[Callable[..., None], Callable[..., None]]:
    def refuse(verb: str, name: str) -> None:
        from dataclasses import FrozenInstanceError

        raise FrozenInstanceError(f"cannot {verb} field {name!r}")

    def __setattr__(self: Any, name: str, value: object) -> None:
        if type(self) is cls or name in names:
            refuse("assign to", name)
        super(cls, self).__setattr__(name, value)

    def __delattr__(self: Any, name: str) -> None:
        if type(self) is cls or name in names:
            refuse("delete", name)
        super(cls, self).__delattr__(name)

    return __setattr__, __delattr__


def _make_state(names: tuple[str, ...]) -> tuple[Callable[[Any], list[Any]], Callable[[Any, Any], None]]:
    def __getstate__(self: Any) -> list[Any]:
        return [getattr(self, name) for name in names]

    def __setstate__(self: Any, state: Any) -> None:
        for name, value in zip(names, state, strict=True):
            object.__setattr__(self, name, value)

    return __getstate__, __setstate__


class _StandardFields:
    """``__dataclass_fields__``: made when somebody asks, with what the standard module would have put there."""

    def __get__(self, instance: object, owner: Any) -> Any:
        import dataclasses

        made = {}
        for name, row in getattr(owner, _ROWS).items():
            options = {"init": row.init, "repr": row.repr, "kw_only": False}
            if row.default is not _MISSING:
                options["default"] = row.default
            if row.default_factory is not _MISSING:
                options["default_factory"] = row.default_factory
            one: Any = dataclasses.field(**options)
            one.name, one.type = name, row.type
            one._field_type = dataclasses._FIELD  # type: ignore[attr-defined]  # private, but fields() looks for it
            made[name] = one
        for base in owner.__mro__:
            if _FIELDS in base.__dict__ and base.__dict__[_FIELDS] is self:
                setattr(base, _FIELDS, made)
        return made


class _StandardParameters:
    """``__dataclass_params__``: the standard decorator asks a base class whether it is frozen."""

    __slots__ = ("eq", "frozen", "init", "order", "repr", "unsafe_hash")

    def __init__(self, frozen: bool, eq: bool) -> None:
        self.frozen, self.eq = frozen, eq
        self.init = self.repr = True
        self.order = self.unsafe_hash = False
