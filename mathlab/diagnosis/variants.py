"""The table of mistakes that are tried, in the order in which they are preferred: one record each."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from mathlab.diagnosis import equations, rewrite, roundings, schedule, values
from mathlab.diagnosis.worlds import Scene, Trial


@dataclass(frozen=True)
class Variant:
    """A kind of mistake: its name, what it is in a sentence, and the ways to try it on a case."""

    name: str
    sentence: str
    trials: Callable[[Scene], Iterator[Trial]]


VARIANTS: tuple[Variant, ...] = (
    Variant("truncated", "digits are cut off instead of rounded", roundings.truncated),
    Variant("sign", "the sign is the other way round", values.sign),
    Variant("transposed", "an array is the transpose of what it should be", values.transpose),
    Variant("constant factor", "2, 1/2, N, 1/N or the learning rate", values.factor),
    Variant("swapped", "two entries, rows, columns or figures are exchanged", values.swapped),
    Variant("mask missing", "a gradient passes where the activation is flat", equations.backward(rewrite.without_mask)),
    Variant("mask reversed", "a gradient passes only there", equations.backward(rewrite.mask_reversed)),
    Variant(
        "derivative missing",
        "the activation's derivative, or another local factor, is left out",
        equations.backward(rewrite.without_derivative),
    ),
    Variant("upstream missing", "a local derivative stands alone", equations.backward(rewrite.without_upstream)),
    Variant("backward transposed", "W stands for W.T", equations.transposed),
    Variant("not summed", "one row of the batch, or its mean", equations.backward(rewrite.not_summed)),
    Variant("axis kept", "a gradient has the batch's axis still", equations.unsummed),
    Variant("updated weight", "a gradient passes through a weight already updated", equations.updated_weights),
    Variant("number of updates", "one update or epoch more or less", schedule.other_updates),
    Variant("bias left out", "a term of the forward pass is left out", equations.forward(rewrite.without_term)),
    Variant("forward transposed", "W.T stands for W", equations.forward(rewrite.transposed)),
    Variant("sum against mean", "one stands for the other", equations.forward(rewrite.sum_or_mean)),
    Variant("loss scaled", "by the 1/2 that is missing or too much, or by the batch size", equations.scaled_loss),
    Variant("number missing", "a constant factor is left out", equations.anywhere(rewrite.without_number)),
    Variant("float32", "another precision", roundings.other_precision),
    Variant("rounded", "intermediate results are rounded and carried on", roundings.roundings),
    Variant("carried on", "printed figures are carried on", roundings.carried_on),
    Variant("activation missing", "an activation is left out", equations.forward(rewrite.without_activation)),
    Variant("weights exchanged", "one stands for another of its shape", equations.exchanged_parameters),
    Variant("term missing", "a term of a gradient is left out", equations.backward(rewrite.without_term)),
    Variant("term's sign", "a term is subtracted instead of added", equations.backward(rewrite.other_sign)),
    # what is solved for fits one number always, so it comes after all that is not
    Variant("learning rate", "another one, solved for", schedule.other_rates),
    Variant("any factor", "of an array that a program or a formula computed, solved for", values.any_factor),
)
