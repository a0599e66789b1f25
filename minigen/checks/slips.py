"""Wrong answers made from the solutions: each changes one place of the book's answer in the way in which people slip.

Where the numbers of a reader's answer have no other reason, one of these may give the same.
"""

from __future__ import annotations

import ast
import copy
from collections.abc import Iterator
from functools import cache
from typing import Any

from .exercises import exercises

OTHER = {
    ast.Add: ast.Sub,
    ast.Sub: ast.Add,
    ast.Mult: ast.Div,
    ast.Div: ast.Mult,
    ast.Pow: ast.Mult,
}
SIGNS = {
    ast.Add: "+",
    ast.Sub: "-",
    ast.Mult: "*",
    ast.Div: "/",
    ast.Pow: "**",
    ast.MatMult: "@",
    ast.Lt: "<",
    ast.LtE: "<=",
    ast.Gt: ">",
    ast.GtE: ">=",
    ast.Eq: "==",
    ast.NotEq: "!=",
    ast.USub: "-",
    ast.UAdd: "+",
    ast.Invert: "~",
    ast.Not: "not",
}
TURNED = {
    ast.Lt: (ast.LtE, ast.Gt),
    ast.LtE: (ast.Lt, ast.GtE),
    ast.Gt: (ast.GtE, ast.Lt),
    ast.GtE: (ast.Gt, ast.LtE),
    ast.Eq: (ast.NotEq,),
}
NAMES = {
    "sum": ("mean", "cumsum"),
    "mean": ("sum",),
    "max": ("min", "mean"),
    "min": ("max",),
    "argmax": ("argmin",),
    "argmin": ("argmax",),
    "maximum": ("minimum",),
    "minimum": ("maximum",),
    "floor": ("ceil", "round"),
    "ceil": ("floor",),
    "exp": ("log", "tanh"),
    "log": ("log2", "exp", "log10"),
    "log2": ("log", "log10"),
    "log10": ("log", "log2"),
    "tanh": ("sigmoid", "sin"),
    "sigmoid": ("tanh",),
    "cumsum": ("cumprod",),
    "zeros": ("ones",),
    "ones": ("zeros",),
    "zeros_like": ("ones_like",),
    "std": ("var",),
    "var": ("std",),
    "sqrt": ("square",),
    "square": ("abs",),
    "abs": ("square",),
    "logsigmoid": ("sigmoid",),
    "logsumexp": ("sum", "mean"),
    "rfft": ("fft",),
    "cos": ("sin",),
    "triu": ("tril",),
    "hann_window": ("hamming_window", "ones"),
    "upper": ("lower",),
}
MODULES = {"np", "torch", "math", "F"}


class Solution:
    """The book's answer to an exercise: its definitions, and what stands before them."""

    def __init__(self, number: str):
        tree = ast.parse("\n".join(exercises()[number].solution))
        kinds = (ast.FunctionDef, ast.ClassDef)
        self.answers = exercises()[number].answers
        self.definitions = [n for n in tree.body if isinstance(n, kinds)]
        self.before = [n for n in tree.body if not isinstance(n, kinds)]  # imports, earlier answers

    def functions(self, definitions: list[ast.stmt] | None = None) -> list[Any]:
        """What the check is given, with these definitions or its own."""
        space = {"__name__": "answers"}
        code = ast.Module([*self.before, *(definitions or self.definitions)], [])
        exec(compile(ast.fix_missing_locations(code), "the book's answer", "exec"), space)  # noqa: S102
        return [eval(answer, space) for answer in self.answers]

    def changed(self) -> Iterator[tuple[str, ast.AST, ast.AST | None, list[ast.stmt]]]:
        """(name of a definition, a node of it, what stands in its place, all definitions) of every change."""
        for k, definition in enumerate(self.definitions):
            for node, new, twin in _mutants(definition):
                others = [*self.definitions[:k], twin, *self.definitions[k + 1 :]]
                yield definition.name, node, new, others


@cache
def solution(number: str) -> Solution:
    """Of an exercise."""
    return Solution(number)


def in_words(node: ast.AST, new: ast.AST | None) -> str:
    """What a change is called, without a line of the answer.

    >>> [node], [new] = ast.parse("a + b").body, ast.parse("a - b").body
    >>> in_words(node.value, new.value), in_words(node.value, node.value.left)
    ('`-` in place of `+`', 'without one term of a sum')
    """
    sign = lambda op: f"`{SIGNS[type(op)]}`"
    if isinstance(node, ast.BinOp) and new in (node.left, node.right):
        what = {
            ast.Add: "one term of a sum",
            ast.Sub: "one term of a difference",
            ast.Pow: "a power",
        }
        return f"without {what.get(type(node.op), 'one factor')}"
    if isinstance(node, ast.BinOp) and type(node.op) is type(new.op):
        return f"{sign(node.op)} the other way round"
    if isinstance(node, ast.BinOp):
        return f"{sign(new.op)} in place of {sign(node.op)}"
    if isinstance(node, ast.Compare):
        return f"{sign(new.ops[0])} in place of {sign(node.ops[0])}"
    if isinstance(node, ast.UnaryOp):
        return f"without a {sign(node.op)}"
    if isinstance(node, ast.Constant):
        return f"{new.value!r} in place of {node.value!r}"
    if isinstance(node, ast.Call):
        name = lambda call: (
            f"`{getattr(call.func, 'attr', None) or getattr(call.func, 'id', 'a function')}`"
        )
        if not isinstance(new, ast.Call) or new in (getattr(node.func, "value", None), *node.args):
            return f"without {name(node)}"
        if len(new.keywords) < len(node.keywords):
            gone = {k.arg for k in node.keywords} - {k.arg for k in new.keywords}
            return f"{name(node)} without its `{gone.pop()}`"
        return (
            f"{name(new)} in place of {name(node)}"
            if name(new) != name(node)
            else f"{name(node)} of other things"
        )
    if isinstance(node, ast.Tuple):
        return "two things exchanged"
    return {ast.Slice: "without a bound of a slice", ast.Attribute: "without a transpose", ast.If: "a condition turned round",
            ast.AugAssign: "a sum that is begun anew"}.get(type(node), "one place changed")  # fmt: skip


def _mutants(definition: ast.stmt) -> Iterator[tuple[ast.AST, ast.AST | None, ast.stmt]]:
    """(node, what stands in its place, the definition) of every change of one node."""
    places = {
        id(child): (parent, field, k)
        for parent in ast.walk(definition)
        for field, value in ast.iter_fields(parent)
        for k, child in enumerate(value if isinstance(value, list) else [value])
    }

    def with_other(node: ast.AST, new: ast.AST) -> ast.stmt:
        """The definition with `new` for `node`, sharing all that is not above it."""
        while node is not definition:
            parent, field, k = places[id(node)]
            twin, value = copy.copy(parent), getattr(parent, field)
            rest = [*value[:k], new, *value[k + 1 :]] if isinstance(value, list) else new
            setattr(twin, field, rest)
            node, new = parent, twin
        return new

    for node in ast.walk(definition):
        if hasattr(node, "lineno") or isinstance(node, ast.Slice):
            for new in _changes(node):
                yield node, new, with_other(node, new or ast.Pass())


def _changes(node: ast.AST) -> Iterator[ast.AST | None]:
    twin = lambda **names: ast.copy_location(_with(node, **names), node)
    if isinstance(node, ast.BinOp):
        if type(node.op) in OTHER:
            yield twin(op=OTHER[type(node.op)]())
            yield node.left
            if isinstance(node.op, ast.Add | ast.Sub | ast.Mult):
                yield node.right
        if isinstance(node.op, ast.MatMult):
            yield twin(left=node.right, right=node.left)
    elif isinstance(node, ast.Compare):
        for op in TURNED.get(type(node.ops[0]), ()):
            yield twin(ops=[op()])
    elif isinstance(node, ast.UnaryOp):
        yield node.operand
    elif isinstance(node, ast.Constant) and type(node.value) is int:
        yield ast.Constant(node.value + 1)
        yield ast.Constant(node.value - 1)
    elif isinstance(node, ast.Constant) and type(node.value) is float:
        yield ast.Constant(2 * node.value + (node.value == 0))
    elif isinstance(node, ast.Constant) and node.value in ("right", "left"):
        yield ast.Constant({"right": "left", "left": "right"}[node.value])
    elif isinstance(node, ast.Call):
        f = node.func
        name = f.attr if isinstance(f, ast.Attribute) else getattr(f, "id", "")
        for other in NAMES.get(name, ()):
            if isinstance(f, ast.Attribute):
                yield twin(func=_with(f, attr=other))
        module = isinstance(f, ast.Attribute) and ast.unparse(f.value) in MODULES
        if isinstance(f, ast.Attribute) and not module and name != "default_rng":
            yield f.value  # x.abs() -> x
        elif len(node.args) >= 1 and name not in ("range", "len", "zip", "list"):
            yield node.args[0]  # np.abs(x) -> x
        if len(node.args) == 2 and name not in ("where",):
            yield twin(args=node.args[::-1])
        for k in range(len(node.keywords)):
            yield twin(keywords=node.keywords[:k] + node.keywords[k + 1 :])
        if name == "range":
            yield twin(args=[*node.args[:-1], ast.BinOp(node.args[-1], ast.Sub(), ast.Constant(1))])
    elif isinstance(node, ast.Slice):
        for part in ("lower", "upper", "step"):
            if getattr(node, part) is not None:
                yield _with(node, **{part: None})
    elif isinstance(node, ast.Tuple) and isinstance(node.ctx, ast.Load) and len(node.elts) == 2:
        yield twin(elts=node.elts[::-1])
    elif isinstance(node, ast.Attribute) and node.attr == "T":
        yield node.value
    elif isinstance(node, ast.AugAssign):
        yield ast.Assign([node.target], node.value, lineno=node.lineno)
    elif isinstance(node, ast.If):
        yield _with(node, test=ast.UnaryOp(ast.Not(), node.test))


def _with(node: ast.AST, **names: object) -> ast.AST:
    return type(node)(**{**{f: getattr(node, f, None) for f in node._fields}, **names})
