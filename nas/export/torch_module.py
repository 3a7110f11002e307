"""The PyTorch format: a folder with a module definition, a ``state_dict`` in safetensors, and the encoding.

The module's source is generated for the network, so that it can be read and changed; beside it
is a copy of `nas.runtime`, which encodes raw tables as inputs and decodes outputs to labels. It needs only
NumPy and torch, and loads no pickle.
"""

from __future__ import annotations

import importlib.util
import sys
from itertools import pairwise
from pathlib import Path
from types import ModuleType

import numpy as np
from safetensors.numpy import save

from nas import runtime
from nas.export.check import Predict, at_work
from nas.export.native import record_text
from nas.network.activations import ACTIVATIONS, LEAKY_SLOPE
from nas.network.arrays import Array
from nas.network.formula import translate
from nas.runtime import MODEL_FILE, WEIGHTS_FILE, Network, Predictor, Units, Waves, model_record, sealed

_TABLES = "tables.py"

_MODEL = '''"""A neural network for tables as a PyTorch module.

    from model import load
    model = load()                     # a torch.nn.Module with its weights, in evaluation mode
    model.predict(table)               # labels or values for a data frame, or a mapping from its columns
    model.predict_proba(table)         # for classes
    model(model.encode(table))         # {outputs}

It is in float32 and on the CPU, whatever the defaults of torch are; `model.to(...)` moves it.
`tables.py` encodes tables, `weights.safetensors` is the state_dict, `model.json` says what the columns are.
"""

from __future__ import annotations

from pathlib import Path

import torch
from torch import nn

import tables

HERE = Path(__file__).parent


{classes}class Model(nn.Module):
    """{members}."""

    def __init__(self) -> None:
        super().__init__()
        self.members = nn.ModuleList([
{layers}
        ])
        self.member_weights = {member_weights}
        self.is_mean = {is_mean}
        record = tables.strict_json((HERE / "model.json").read_bytes())
        self.tables = tables.Outside(record, self._numbers)

    def forward(self, X: torch.Tensor, temperature: float = 1.0) -> torch.Tensor:
        """From inputs of shape (rows, {n_inputs}) to outputs of shape (rows, {n_outputs})."""
        if not self.is_mean:
            return self.members[0](X) / temperature
        outputs = [self.link(member(X) / temperature){mean} for member in self.members]
        return sum(weight * part for weight, part in zip(self.member_weights, outputs))

    @staticmethod
    def link(z: torch.Tensor) -> torch.Tensor:
        """From a member's linear outputs to {link_meaning}."""
        return {link}

    def _numbers(self, X, temperature=1.0):
        device = next(self.parameters()).device.type
        with torch.no_grad(), torch.autocast(device, enabled=False):
            outputs = self(self._inputs(X), temperature)
            outputs = outputs if self.is_mean else self.link(outputs)
            return outputs.to("cpu", torch.float32).numpy()

    def _inputs(self, X) -> torch.Tensor:
        """An array as a tensor of the type, and in the place, of the weights."""
        weight = next(self.parameters())
        return torch.from_numpy(X).to(weight.device, weight.dtype)

    def encode(self, table) -> torch.Tensor:
        """The inputs for a table, of shape (rows, {n_inputs})."""
        return self._inputs(self.tables.preprocessor.encode(table))

    def predict(self, table):
        """Labels of shape (rows,), values in the target's units, or 0 and 1 of shape (rows, labels)."""
        return self.tables.predict(table)

    def predict_proba(self, table):
        """Probabilities of shape (rows, classes), or (rows, labels), scaled by the temperature."""
        return self.tables.predict_proba(table)

    def predict_interval(self, table, coverage=0.9):
        """Lower and upper bounds of shape (rows, 2), or (rows, targets, 2)."""
        return self.tables.predict_interval(table, coverage)

    def predict_set(self, table, coverage=0.9):
        """Whether each class is in a row's prediction set, bool of shape (rows, classes)."""
        return self.tables.predict_set(table, coverage)


def load() -> Model:
    """The module with the weights beside this file; refuses files that were changed since they were saved."""
    record = tables.strict_json((HERE / "model.json").read_bytes())
    content = (HERE / "weights.safetensors").read_bytes()
    tables.checked_record(record, content, "weights.safetensors")
    with torch.device("meta"):  # otherwise torch would draw weights from its global random state
        model = Model()
    arrays = tables._arrays_of(content, "weights.safetensors")
    weights = {{name: torch.tensor(array, device="cpu") for name, array in arrays.items()}}
    model.load_state_dict(weights, assign=True)
    return model.eval()
'''

_CLASS = '''class {name}(nn.Module):
    """The activation {activation}."""

    def forward(self, z: torch.Tensor) -> torch.Tensor:
        return {formula}


'''

_WAVES = '''class Waves(nn.Module):
    """Inputs with waves of some of them beside: cos(frequency · x + phase)."""

    def __init__(self, places: list[int], n_waves: int) -> None:
        super().__init__()
        self.places = places
        self.frequencies = nn.Parameter(torch.zeros(len(places), n_waves, dtype=torch.float32))
        self.phases = nn.Parameter(torch.zeros(len(places), n_waves, dtype=torch.float32))

    def forward(self, X: torch.Tensor) -> torch.Tensor:
        """From shape (rows, inputs) to (rows, inputs + waves)."""
        angles = X[:, self.places, None] * self.frequencies + self.phases
        return torch.cat([X, torch.cos(angles).flatten(1)], dim=1)


'''

_HIDDEN = '''class Hidden(nn.Module):
    """A hidden layer: a blend of activation and linear output, plus the first units of the layer before.

    With layer norm, linear outputs are normalized first.
    """

    def __init__(
        self,
        n_inputs: int,
        width: int,
        activation: nn.Module,
        n_blends: int,
        n_gains: int,
        is_normalized: bool = False,
    ) -> None:
        super().__init__()
        self.is_normalized = is_normalized
        self.linear = nn.Linear(n_inputs, width, dtype=torch.float32)
        self.activation = activation
        self.blends = nn.Parameter(torch.empty(n_blends, dtype=torch.float32)) if n_blends else None
        self.gains = nn.Parameter(torch.empty(n_gains, dtype=torch.float32)) if n_gains else None

    def forward(self, X: torch.Tensor) -> torch.Tensor:
        """From shape (rows, inputs) to (rows, width)."""
        z = self.linear(X)
        if self.is_normalized:
            z = nn.functional.layer_norm(z, z.shape[1:], eps=1e-5)
        A = self.activation(z)
        if self.blends is not None:
            A = z + self.blends * (A - z)
        if self.gains is not None:
            n = len(self.gains)
            A = A + nn.functional.pad(self.gains * X[:, :n], (0, A.shape[1] - n))
        return A


'''

_SHARING = '''class Sharing(nn.Module):
    """Networks that share hidden layers, each with its own factors of the inputs and its own outputs."""

    def __init__(self, members: int, n_inputs: int, width: int, n_outputs: int, hidden: nn.Module) -> None:
        super().__init__()
        self.shape = (members, width, n_outputs)
        self.hidden = hidden
        self.factors = nn.Parameter(torch.empty(members, n_inputs, dtype=torch.float32))
        self.weight = nn.Parameter(torch.empty(members * width, n_outputs, dtype=torch.float32))
        self.bias = nn.Parameter(torch.empty(members, n_outputs, dtype=torch.float32))

    def forward(self, X: torch.Tensor) -> torch.Tensor:
        """From inputs of shape (rows, inputs) to linear outputs of shape (members, rows, outputs)."""
        hidden = self.hidden(X * self.factors[:, None])
        return hidden @ self.weight.reshape(self.shape) + self.bias[:, None]


'''

_OWN = (
    *("Identity()", "Sigmoid()", "Tanh()", "ReLU()", f"LeakyReLU({LEAKY_SLOPE})", "ELU()"),
    *("SELU()", 'GELU(approximate="tanh")', "SiLU()", "Mish()", "Softplus()"),
)
"""PyTorch's own modules, with the names of our activations but for case and underscores."""

_SIGNS = {"add": "+", "subtract": "-", "multiply": "*", "divide": "/"}

_OUTSIDE = '''

class Outside(Predictor):
    """A predictor with outputs that are computed outside, by torch."""

    def __init__(self, record, outputs):
        columns = [_fields_from(Column, entry, "column") for entry in record["columns"]]
        target = _fields_from(Target, record["target"], "target")
        super().__init__(record["task"], Preprocessor(columns), target, record["provenance"])
        self.uncertainty = uncertainty_of(record, self)
        self._outputs = outputs
'''


def write(network: Predictor, path: Path) -> None:
    """Write a network or an ensemble as a PyTorch module in a folder."""
    path.mkdir()
    source = Path(runtime.__file__).read_text(encoding="utf-8")
    (path / _TABLES).write_text(source + _OUTSIDE, encoding="utf-8")
    (path / "model.py").write_text(_definition(network), encoding="utf-8")
    weights = save(_state_dict(network))
    record = record_text(sealed(model_record(network), weights))
    (path / MODEL_FILE).write_text(record, encoding="utf-8")
    (path / WEIGHTS_FILE).write_bytes(weights)


def _definition(network: Predictor) -> str:
    """The source of ``model.py`` for a network."""
    classes = network.task == "classification" and network.members[0].sizes[-1] > 1
    shares = any(member.n_members > 1 for member in network.members)
    several = len(network.members) > 1 or shares
    regression = network.task == "regression"
    meaning = "values in standard deviations of the target" if regression else "probabilities"
    link = "z" if regression else "torch.softmax(z, dim=-1)" if classes else "torch.sigmoid(z)"
    has_waves = any(member.waves is not None for member in network.members)
    has_units = any(member.units is not None or member.normalized for member in network.members)
    names = dict.fromkeys(name for member in network.members for name in member.activations)
    defined = [_class(name) for name in names if not _activation(name).startswith("nn.")]
    n = sum(member.n_members for member in network.members)
    return _MODEL.format(
        classes="".join([*defined, has_waves * _WAVES, has_units * _HIDDEN, shares * _SHARING]),
        outputs=meaning if regression or several else "logits",
        members=f"The mean of {n} networks" if several else "A single network",
        layers="\n".join(map(_member, network.members)),
        is_mean=several,
        # A network with members gives an axis of these in front.
        mean=f".reshape(-1, len(X), {network.members[0].sizes[-1]}).mean(0)" if shares else "",
        member_weights=repr(list(network.member_weights)),
        n_inputs=network.preprocessor.n_inputs,
        n_outputs=network.members[0].sizes[-1],
        link=link,
        link_meaning=meaning,
    )


def _member(network: Network) -> str:
    """The source of a member of an ensemble, or of the only network."""
    if network.n_members == 1:
        return _layers(
            network.sizes, network.activations, network.waves, network.units, normalized=network.normalized
        )
    *sizes, width, n_outputs = network.sizes
    hidden = _layers((*sizes, width), network.activations)
    arguments = f"{network.n_members}, {network.sizes[0]}, {width}, {n_outputs}"
    return f"            Sharing({arguments},\n{hidden}\n            ),"


def _layers(
    sizes: tuple[int, ...],
    activations: tuple[str, ...],
    waves: Waves | None = None,
    units: Units | None = None,
    *,
    normalized: bool = False,
) -> str:
    """The source of linear layers with activations between them, after waves if there are any."""
    lines = []
    if waves is not None:
        lines.append(f"Waves({list(waves.places)}, {waves.phases.shape[1]}),")
    for i, (n_in, n_out) in enumerate(pairwise(sizes)):
        if (units is not None or normalized) and i < len(activations):
            own = {} if units is None else units.arrays()
            counts = ", ".join(str(len(own.get(f"{kind}_{i}", ()))) for kind in ("blends", "gains"))
            norm = ", is_normalized=True" * normalized
            lines.append(f"Hidden({n_in}, {n_out}, {_activation(activations[i])}, {counts}{norm}),")
            continue
        lines.append(f"nn.Linear({n_in}, {n_out}, dtype=torch.float32),")
        if i < len(activations):
            lines.append(f"{_activation(activations[i])},")
    inner = "".join(f"                {line}\n" for line in lines)
    return f"            nn.Sequential(\n{inner}            ),"


def _activation(name: str) -> str:
    """The source of an activation's module: PyTorch's own, or of a class that `_class` defines."""
    own_modules = (source for source in _OWN if source.partition("(")[0].lower() == name.replace("_", ""))
    return next((f"nn.{source}" for source in own_modules), f"{_class_name(name)}()")


def _class_name(activation: str) -> str:
    return activation.title().replace("_", "")


def _class(activation: str) -> str:
    """The source of a class that computes an activation by its formula."""
    formula = translate(ACTIVATIONS[activation].formula, "z", _call)
    return _CLASS.format(name=_class_name(activation), activation=activation, formula=formula)


def _call(function: str, operands: list[str | float]) -> str:
    """The source of an operator of `nas.network.formula`."""
    if function in _SIGNS:
        first, second = operands
        return f"({first} {_SIGNS[function]} {second})"
    # Numbers as tensors without dimensions, which are on any device and of any type.
    tensors = (text if isinstance(text, str) else f"torch.tensor({text})" for text in operands)
    return f"torch.{function}({', '.join(tensors)})"


def _state_dict(network: Predictor) -> dict[str, Array]:
    """Arrays by torch's names, with each layer's weights transposed to shape (outputs, inputs)."""
    arrays: dict[str, Array] = {}
    for i, member in enumerate(network.members):
        layers, place = list(zip(member.weights, member.biases, strict=True)), f"members.{i}"
        first = 0
        if member.waves is not None:
            first = 1
            arrays[f"{place}.0.frequencies"] = member.waves.frequencies
            arrays[f"{place}.0.phases"] = member.waves.phases
        if member.factors is not None:
            weights, biases = member.output_layers()
            arrays |= {
                f"{place}.factors": member.factors,
                f"{place}.weight": np.concatenate(weights),
                f"{place}.bias": np.array(biases),
            }
            layers, place = layers[:-1], f"{place}.hidden"
        if member.units is not None:
            for name, array in member.units.arrays().items():
                kind, _, layer = name.partition("_")
                arrays[f"{place}.{first + int(layer)}.{kind}"] = array
        for j, (weight, bias) in enumerate(layers):
            layer_place = f"{place}.{_position(member, j, first)}"
            arrays[f"{layer_place}.weight"] = np.ascontiguousarray(weight.T)
            arrays[f"{layer_place}.bias"] = bias
    return arrays


def _position(network: Network, layer: int, first: int) -> str:
    """The name of a linear layer in its sequence."""
    if network.units is None and not network.normalized:
        return str(first + 2 * layer)  # activations have the positions in between
    return f"{first + layer}.linear" if layer < len(network.activations) else str(first + layer)


def load(network: Predictor, path: Path) -> Predict:
    """The predictions of the module, imported from files that this process wrote just before."""
    return at_work(network, _module(path).load())


def _module(folder: Path) -> ModuleType:
    """``model.py`` of a folder, with the ``tables`` beside it."""
    hidden_modules = {name: sys.modules.pop(name, None) for name in ("tables", "model")}
    try:
        for name in ("tables", "model"):
            spec = importlib.util.spec_from_file_location(name, folder / f"{name}.py")
            assert spec is not None
            assert spec.loader is not None
            sys.modules[name] = module = importlib.util.module_from_spec(spec)
            spec.loader.exec_module(module)
        return module
    finally:
        for name, module_before in hidden_modules.items():
            sys.modules.pop(name, None)
            if module_before is not None:
                sys.modules[name] = module_before
