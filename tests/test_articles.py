"""The figures that no article prints: each is worked out a second time, in decimals, from the forward pass alone."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path

import numpy as np
import pytest

from mathlab import config
from mathlab.experiment import Case, Figure
from tests.decimals import (
    ACTIVATIONS,
    THREE_LAYERS,
    TWO_LAYERS,
    Decimals,
    Network,
    Values,
    descended,
    each,
    forward,
    gradient,
    recurrent,
    two_sigmoids,
)
from tests.test_series import STEMS

pytestmark = pytest.mark.numbers

CONFIGS = Path(__file__).parent.parent / "configs"


def activation(name: str) -> Network:
    return {"h": lambda v: each(ACTIVATIONS[name])(v["a"])}


NETWORKS: dict[tuple[str, str], Network] = {
    **{("activations", name): activation(name) for name in ACTIVATIONS},
    ("cs231n-two-layer-mlp", "one sample"): TWO_LAYERS,
    ("cs231n-two-layer-mlp", "column matrices"): TWO_LAYERS,
    ("cs231n-two-layer-mlp", "the 1e-12 of the code"): TWO_LAYERS,
    ("cs231n-two-layer-mlp", "SGD steps"): TWO_LAYERS,
    ("cs231n-three-layer-mlp", "one sample"): THREE_LAYERS,
    ("cs231n-three-layer-mlp", "column matrices"): THREE_LAYERS,
    ("cs231n-three-layer-mlp", "SGD steps"): THREE_LAYERS,
    ("recurrent", "base"): recurrent(4),
    ("two-layer-sigmoid", "as in section 3"): two_sigmoids(transposed=False),
    ("two-layer-sigmoid", "transposed as in sections 4.3 and 4.5"): two_sigmoids(transposed=True),
}


def worked_out() -> Iterator[tuple[str, Case, int, tuple[Figure, ...]]]:
    """Config, case, number of updates and the figures that are not the article's own."""
    for path in sorted(CONFIGS.glob("*.yaml")):
        if path.stem in STEMS:
            continue  # their rules are in test_series
        for case in config.load(path).cases:
            stages = ((0, case.expected), *(case.train.after if case.train else ()))
            for updates, figures in stages:
                if chosen := tuple(figure for figure in figures if figure.worked_out and not figure.at):
                    yield path.stem, case, updates, chosen


FIGURES = list(worked_out())


def values_of(case: Case) -> Values:
    """Inputs and parameters as the decimals that the config says."""
    given = {**case.inputs, **case.parameters}
    return {name: each(lambda x: Decimal(repr(x)))(value.array.astype(object)) for name, value in given.items()}


def computed(network: Network, values: Values, key: str) -> Decimals:
    name = key.removeprefix("d")
    return gradient(network, values, name) if name != key else forward(network, values)[key]


@pytest.mark.parametrize(
    ("stem", "case", "updates", "figures"), FIGURES, ids=[f"{row[0]}-{row[1].name}-{row[2]}" for row in FIGURES]
)
def test_figures_that_were_worked_out_here(stem: str, case: Case, updates: int, figures: tuple[Figure, ...]) -> None:
    network, values = NETWORKS[stem, case.name], values_of(case)
    if case.train:
        values = descended(network, values, [*case.parameters], Decimal(repr(case.train.settings["lr"])), updates)
    for figure in figures:
        exact = np.array(computed(network, values, figure.name), object)
        assert exact.shape == figure.shape, figure.place
        for number, value in zip(figure.printed, exact.ravel(), strict=True):
            assert Decimal(number.text) == value.quantize(Decimal(number.text)), number.place


@pytest.mark.parametrize("path", sorted(CONFIGS.glob("*.yaml")), ids=lambda path: path.stem)
def test_places_of_formulas_are_short(path: Path) -> None:
    for case in config.load(path).cases:
        for formula in case.derivation:
            assert len(formula.at.split()) <= 8, formula.place


def test_every_network_has_figures() -> None:
    assert {(stem, case.name) for stem, case, _, _ in FIGURES} == set(NETWORKS)


def test_the_decimals_know_a_wrong_digit() -> None:
    """The difference quotient and the series, held against what is known of them."""
    values: Values = {"a": np.array([Decimal(0), Decimal(1)], object)}
    assert [round(x, 20) for x in gradient(activation("tanh"), values, "a")] == [
        Decimal(1),
        Decimal("0.41997434161402606939"),  # 1 / cosh(1)^2
    ]
    (half, at_one) = forward(activation("GELU"), {"a": np.array([Decimal("1e-30"), Decimal(1)], object)})["h"]
    assert round(half, 35) == Decimal("0.5e-30")
    assert round(at_one, 20) == Decimal("0.84134474606854294859")  # the normal distribution at 1
