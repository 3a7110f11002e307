"""Formulas of activations as text, which export formats translate into operators of their own.

A formula is an expression of `z` in Python's syntax: numbers, ``+ - * /``, and the functions ``sigmoid``,
``tanh``, ``exp``, ``log``, ``abs``, ``maximum`` and ``minimum`` (of two values), all element by element. A
format has an operator for each entry of `OPERATORS`, and thereby exports activations that it has no name for.
"""

from __future__ import annotations

import ast
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")

_SIGNS: dict[type[ast.AST], str] = {
    ast.Add: "add",
    ast.Sub: "subtract",
    ast.Mult: "multiply",
    ast.Div: "divide",
    ast.USub: "negative",
}

OPERATORS = (*_SIGNS.values(), "sigmoid", "tanh", "exp", "log", "abs", "maximum", "minimum")
"""The names that `translate` calls its function with."""


def translate(formula: str, z: T, call: Callable[[str, list[T | float]], T]) -> T:
    """Build a formula's value from the value of `z`.

    Parameters
    ----------
    formula : str
    z : any type
        The activation's input, in the form of the format: a name in a graph, source code, an array.
    call : callable
        From a name in `OPERATORS` and its operands, each a value or a constant, to a value.
    """

    def value(node: ast.expr) -> T | float:
        match node:
            case ast.Name(id="z"):
                return z
            case ast.Constant(value=int() | float() as number):
                return float(number)
            case ast.BinOp(left, sign, right) if type(sign) in _SIGNS:
                return call(_SIGNS[type(sign)], [value(left), value(right)])
            case ast.UnaryOp(ast.USub() as sign, operand):
                return call(_SIGNS[type(sign)], [value(operand)])
            case ast.Call(ast.Name(name), operands, []) if name in OPERATORS:
                return call(name, [value(operand) for operand in operands])
        raise ValueError(f"formula {formula!r}: expected {', '.join(OPERATORS)}, got {ast.unparse(node)}")

    result = value(ast.parse(formula, mode="eval").body)
    assert not isinstance(result, float), "an activation depends on its input"
    return result
