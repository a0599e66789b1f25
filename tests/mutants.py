"""Wrong answers made from the solutions: each mutant changes one place of a reference solution in the way
in which people slip."""

import ast
import copy
from collections import Counter
from collections.abc import Iterator
from functools import cache

from minigen.checks import exercises as book

OTHER = {
    ast.Add: ast.Sub,
    ast.Sub: ast.Add,
    ast.Mult: ast.Div,
    ast.Div: ast.Mult,
    ast.Pow: ast.Mult,
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


class Exercise:
    """The solution of one exercise: its functions, in order, and the check that they are given to."""

    def __init__(self, known: book.Exercise):
        tree = ast.parse("\n".join(known.solution))
        kinds = ast.FunctionDef | ast.ClassDef
        self.definitions = [n for n in tree.body if isinstance(n, kinds)]
        self.before = [n for n in tree.body if not isinstance(n, kinds)]  # imports, earlier answers
        self.arguments, self.find_check = known.answers, known.find_check
        self.name = f"{known.number.split('.')[0]}.{known.check}"

    def functions(self, definitions: list[ast.stmt]) -> list:
        """The functions that the check is given, with these definitions."""
        space = {"__name__": "answers"}
        code = ast.Module([*self.before, *definitions], [])
        exec(compile(ast.fix_missing_locations(code), f"answers to {self.name}", "exec"), space)  # noqa: S102
        return [space[name] for name in self.arguments]

    def mutants(self) -> Iterator[tuple[str, list[ast.stmt]]]:
        """(what was changed, the definitions) of every mutant."""
        seen = Counter()
        for k, definition in enumerate(self.definitions):
            for name, what, new in _mutants(definition):
                seen[name, what] += 1
                again = f" ({seen[name, what]})" if seen[name, what] > 1 else ""
                yield (
                    f"{name}: {what}{again}",
                    [*self.definitions[:k], new, *self.definitions[k + 1 :]],
                )


@cache
def exercises() -> list[Exercise]:
    """All exercises of chapters that have a check, in order. Those of projects train: tables of mistakes do."""
    known = [e for e in book.exercises().values() if e.number[0].isdigit()]
    return [Exercise(each) for each in known]


def _mutants(definition: ast.stmt) -> Iterator[tuple[str, str, ast.stmt]]:
    """Every change of one node of a definition, its docstring and its default arguments apart."""
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
            before = ast.unparse(node).split("\n")[0]
            for new in _changes(node):
                after = ast.unparse(new).split("\n")[0] if new is not None else "(removed)"
                name = getattr(definition, "name", "")
                yield name, f"{before} -> {after}", with_other(node, new or ast.Pass())


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
        module = isinstance(f, ast.Attribute) and ast.unparse(f.value) in (
            "np",
            "torch",
            "math",
            "F",
        )
        if isinstance(f, ast.Attribute) and not module and name != "default_rng":
            yield f.value  # x.abs() -> x
        elif len(node.args) >= 1 and name not in ("range", "len", "zip", "list", "range"):
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
