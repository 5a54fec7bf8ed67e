"""What vLLM's model classes build when they are made, read off their constructors without running them.

Names are followed as they are put together, the quantization config on its way, and modules that have a head or build one. What
depends on the config goes both ways (`statements.py`); only what can lead to a head is entered (`leads.py`).
"""

from __future__ import annotations

import ast
from dataclasses import replace
from typing import TYPE_CHECKING, Final, TypeAlias

from benchmarks.learn.heads.expressions import FINDS_QUANT, Frame
from benchmarks.learn.heads.leads import HEAD, REGISTERED, Leads
from benchmarks.learn.heads.signatures import bound
from benchmarks.learn.heads.source_tree import Defined
from benchmarks.learn.heads.statements import Statements
from benchmarks.learn.heads.values import (
    ANY_NUMBER,
    Chosen,
    Function,
    Head,
    Module,
    Quant,
    Settings,
    Unknown,
    Value,
    either,
    in_name,
    options,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from benchmarks.learn.heads.source_tree import SourceTree

Given: TypeAlias = "tuple[list[Value], dict[str, Value]]"
"""What a call is given, by place and by name."""
VLLM: Final = ("vllm.model_executor.models.", "vllm.models.")
"""vLLM's packages of models, whose classes and functions are entered."""
BY_TYPE: Final = {"Glm4vMoeForConditionalGeneration": "Glm4MoeForCausalLM"}
"""The text model of a wrapper whose class has one for each model type (models/glm4_1v.py), where it is not the first of them."""
DEEPEST: Final = 25
"""How many calls within calls are followed."""
QUANT_PLACE, PREFIX_PLACE = 6, 7
"""Where a head takes the quantization config and its name, if not by keyword."""
METHOD: Final = "compressed-tensors"
CASTS: Final = ("float", "half", "to")
COPIES: Final = ("copy", "deepcopy", "replace")
CONTAINERS: Final = ("ModuleList", "ModuleDict", "Sequential")


class Constructors:
    """Follows constructors; ``registered`` is where the class of an architecture is, by module and name.

    ``rooms`` are the packages whose classes and functions are entered.
    """

    def __init__(
        self, tree: SourceTree, registered: Mapping[str, tuple[str, str]], rooms: tuple[str, ...] = VLLM
    ) -> None:
        self.tree, self.registered, self._rooms = tree, registered, rooms
        self._statements = Statements(tree, self._call)
        self._value = self._statements.expressions.value
        self._leads = Leads(tree, rooms)
        self._building: list[Module | None] = [None]
        self._known: dict[str, Callable[[Given], Value]] = {
            REGISTERED: self._model,
            "initialize_model": self._initialized,
            "_initialize_model": self._initialized,
            "maybe_prefix": lambda given: _prefixed(*_values(given)[:2]),
            "add_prefix": lambda given: _prefixed(*reversed(_values(given)[:2])),
            "make_layers": self._layers,
            "get_draft_quant_config": lambda _: Quant.GIVEN,
            "get_quantization_config": lambda _: Quant.GIVEN,
        }

    def built(self, architecture: str, settings: Settings | None = None, prefix: Value = "") -> Value:
        """Return what the class of an architecture builds; unknown where there is none, or nothing in it leads to a head."""
        cls = self.tree.meaning(*self.registered.get(architecture, ("", "")))
        named = {"vllm_config": settings or Settings(architectures=[architecture]), "prefix": prefix}
        return self.made(cls, ([], named)) if cls else Unknown(architecture)

    # Calls

    def _call(self, node: ast.Call, frame: Frame) -> Value:
        given = self._given(node, frame)
        name = node.func.attr if isinstance(node.func, ast.Attribute) else ast.unparse(node.func)
        first = given[0][0] if given[0] else None
        if name in self._known:
            return self._known[name](given)
        if name in COPIES and isinstance(first, Settings):
            return first
        if name == "getattr" and given[0][1:] and isinstance(given[0][1], str):
            return self._statements.expressions.attribute(first, given[0][1])
        if isinstance(node.func, ast.Attribute):
            return self._of_object(node, node.func, frame, given)
        return self._entered(self._value(node.func, frame), node, given)

    def _given(self, node: ast.Call, frame: Frame) -> Given:
        places: list[Value] = []
        named: dict[str, Value] = {}
        for entry in node.args:
            value = self._value(entry, frame)
            places += value if isinstance(entry, ast.Starred) and isinstance(value, list) else [value]
        for keyword in node.keywords:
            value = self._value(keyword.value, frame)
            named.update({keyword.arg: value} if keyword.arg else value if isinstance(value, dict) else {})
        return places, named

    def _of_object(self, node: ast.Call, func: ast.Attribute, frame: Frame, given: Given) -> Value:
        if isinstance(func.value, ast.Call) and ast.unparse(func.value.func) == "super":
            return self._inherited(func.value, func.attr, frame, given)
        held, name, (places, named) = self._value(func.value, frame), func.attr, given
        heads = [one for one in options(held) if isinstance(one, Head)]
        if name == "tie_weights" and heads:
            self._statements.tie(heads, name, frame)
            return held
        if isinstance(held, Settings) and name == "with_hf_config":
            return replace(held, architectures=named.get("architectures", (places[1:] or [Unknown("hf_config")])[0]))
        if heads and name in CASTS:
            return held
        if held is Quant.GIVEN and name == "get_name":
            return METHOD
        if isinstance(held, list | dict) and name in ("get", "values"):
            return _out_of(held, name, places)
        if name in CONTAINERS:
            return places[0] if places and isinstance(places[0], list) else places
        return self._entered(self._statements.expressions.attribute(held, name), node, given)

    def _inherited(self, stated: ast.Call, name: str, frame: Frame, given: Given) -> Value:
        """Follow a method that `super()` finds."""
        after = self._value(stated.args[0], frame) if stated.args else frame.cls
        method = self.tree.method(frame.owner.cls, name, after) if frame.owner and isinstance(after, Defined) else None
        if method is None or not method[0].module.startswith(self._rooms):
            return frame.owner if name == "__new__" else None
        return self._followed(Function(method[0].module, method[1], frame.owner, method[0]), given)

    def _entered(self, target: Value, node: ast.Call, given: Given) -> Value:
        """Follow what is called, as far as that is of use."""
        found = []
        for one in options(target):
            if isinstance(one, Defined) and isinstance(one.node, ast.ClassDef):
                found.append(self.made(one, given))
            elif isinstance(one, Function) and self._is_of_use(one, given):
                found.append(self._followed(one, given))
            elif one is not None:
                found.append(Unknown(ast.unparse(node)))
        return either(*found) if found else Unknown(ast.unparse(node))

    def _is_of_use(self, function: Function, given: Given) -> bool:
        if isinstance(function.node, ast.Lambda) or function.owner is not None:
            return True
        values = [one for value in (*given[0], *given[1].values()) for one in options(value)]
        carries = any(isinstance(one, Settings | Quant | Head | Module) for one in values)
        is_here = function.module.startswith(self._rooms)
        return is_here and (carries or self._leads.to_head(function.module, function.node))

    # Functions that are known by what they do

    def _model(self, given: Given) -> Value:
        """Build the model that vLLM registers for the architectures that are stated, or that the config chooses."""
        places, named = given
        found = options(named.get("vllm_config", places[0] if places else None))
        settings = next((one for one in found if isinstance(one, Settings)), Settings())
        stated = named.get("architectures")
        if stated is None:
            stated = settings.architectures if named.get("hf_config") is None else Unknown("hf_config")
        own = settings.architectures[0] if isinstance(settings.architectures, list) else ""
        by_type = [one for one in options(stated) if isinstance(one, list) and BY_TYPE.get(own) in one]
        prefix = named.get("prefix", "")
        return either(*(self._registered(one, settings, prefix) for one in by_type or options(stated)))

    def _registered(self, stated: Value, settings: Settings, prefix: Value) -> Value:
        name = stated[0] if isinstance(stated, list) and stated else stated
        if not isinstance(name, str) or len(self._building) > DEEPEST:
            return Chosen(prefix)
        made = self.built(name, replace(settings, architectures=[name]), prefix)
        return Chosen(prefix) if isinstance(made, Unknown) else made

    def _initialized(self, given: Given) -> Value:
        """Build a model of the class that is stated, or that vLLM registers."""
        places, named = given
        cls = named.get("model_class")
        if not isinstance(cls, Defined):
            return self._model(given)
        return self.made(cls, (places, {name: value for name, value in named.items() if name != "model_class"}))

    def _layers(self, given: Given) -> Value:
        """Build the layers that a function makes, each of its name."""
        places, named = given
        prefix = in_name(named.get("prefix", (places[2:] or [""])[0]))
        makers = [one for one in (*places, *named.values()) if isinstance(one, Function)]
        return [self._followed(one, ([], {"prefix": f"{prefix}.{ANY_NUMBER}"})) for one in makers]

    # Classes and functions

    def made(self, cls: Defined, given: Given) -> Value:
        """Return what a class is made into: a module, a head, or unknown where nothing in it leads to one."""
        if any(one.name == HEAD for one in self.tree.lineage(cls)):
            return self._head(*given)
        if not cls.module.startswith(self._rooms) or not self._leads.to_head(cls.module, cls.node):
            return Unknown(cls.name)
        module = Module(cls)
        for step in ("__new__", "__init__"):
            method = self.tree.method(cls, step)
            if method is None or method[0].name == FINDS_QUANT:
                continue
            made = self._followed(Function(method[0].module, method[1], module, method[0]), given)
            if step == "__new__" and made is not module and not isinstance(made, Unknown):
                return made
        return module

    def _head(self, places: list[Value], named: dict[str, Value]) -> Head:
        quant = named["quant_config"] if "quant_config" in named else (places[QUANT_PLACE:] or ["no"])[0]
        prefix = named["prefix"] if "prefix" in named else (places[PREFIX_PLACE:] or [""])[0]
        head = Head(prefix, quant, self._building[-1])
        self._statements.heads.append(head)
        return head

    def _followed(self, function: Function, given: Given) -> Value:
        if len(self._building) > DEEPEST:
            return Unknown(ast.unparse(function.node))
        frame = bound(function, *given, lambda default: self._value(default, Frame(function.module)))
        self._building.append(frame.owner or self._building[-1])
        try:
            if isinstance(function.node, ast.Lambda):
                return self._value(function.node.body, frame)
            self._statements.run(function.node.body, frame)
        finally:
            self._building.pop()
        return either(*frame.returned) if frame.returned else None


def _out_of(held: list[Value] | dict[str, Value], name: str, places: list[Value]) -> Value:
    """Return what `get` or `values` hand out of a dictionary, of which a list has the values alone."""
    if isinstance(held, dict):
        return held.get(*places) if name == "get" and places else [*held.values()]
    return held if name == "values" else either(*held)


def _values(given: Given) -> list[Value]:
    return [*given[0], *given[1].values()]


def _prefixed(before: Value, name: Value) -> Value:
    """Return a name after what stands before it."""
    return f"{in_name(before)}.{in_name(name)}" if in_name(before) else in_name(name)
