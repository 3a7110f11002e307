"""Members that share all hidden layers of a network.

    f(x) = mean over j of output(W_Lj ... phi_1(W_1 (s_j ∘ x) + b_1) ... + b_Lj)

The factors s_j of the inputs, random signs at first, and the output layers W_Lj are each member's own
(Gorishniy et al. 2025, "TabM", the variant "mini"; Wen et al. 2020, "BatchEnsemble"). The loss is the mean of
the members' losses. With the factors in its first weights each member is a plain network, which
`nas.network.mlp` computes.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from nas.network.architecture import Architecture, views
from nas.network.arrays import Floats, Ints, host


def initial_factors(members: int, columns: Ints, rng: host.random.Generator) -> Floats:
    """Random signs of shape (members, inputs), the same for all inputs of a column, as TabM draws them."""
    signs: Floats = rng.choice([-1.0, 1.0], (members, int(columns.max()) + 1))
    return signs[:, columns]


def parameters_of_members(architecture: Architecture, flat: Floats) -> Iterator[Floats]:
    """The parameters of each member as a network of its own, in the order of its flat buffer."""
    weights, biases = architecture.views(flat)
    last_weights, last_biases = (host.split(part[-1], architecture.members, -1) for part in (weights, biases))
    for factors, weight, bias in zip(architecture.factors_of(flat), last_weights, last_biases, strict=True):
        # (s_j ∘ x) W_1 = x (s_j ∘ W_1): factors of inputs are factors of the rows of weights.
        first = weights[0] * factors[:, host.newaxis]
        parts = [first, *weights[1:-1], weight, *biases[:-1], bias]
        yield host.concatenate([part.ravel() for part in parts])


def gradient_of_mean(architecture: Architecture, flat: Floats, gradients: Iterable[Floats]) -> Floats:
    """The gradient of the mean of the members' losses, from the gradient of each by its own parameters.

    Parameters
    ----------
    architecture : Architecture
    flat : float array
        The parameters of the network.
    gradients : iterable of float array
        In the order of `parameters_of_members`.
    """
    gradient, n_outputs = host.zeros_like(flat), architecture.sizes[-1]
    weights, biases = architecture.views(gradient)
    by_factors = architecture.factors_of(gradient)
    first, factors = architecture.views(flat)[0][0], architecture.factors_of(flat)
    for j, of_member in enumerate(gradients):
        own_weights, own_biases = views(of_member, architecture.sizes)
        # The chain rule through s_j ∘ W_1, by s_j and by W_1.
        by_factors[j] = (own_weights[0] * first).sum(axis=1)
        own_weights[0] *= factors[j][:, host.newaxis]
        for own, shared in zip(
            (*own_weights[:-1], *own_biases[:-1]), (*weights[:-1], *biases[:-1]), strict=True
        ):
            shared += own
        outputs = slice(j * n_outputs, (j + 1) * n_outputs)
        weights[-1][:, outputs], biases[-1][outputs] = own_weights[-1], own_biases[-1]
    mean: Floats = gradient / architecture.members
    return mean
