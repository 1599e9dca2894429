"""Results -> the JSON report: every number at full precision, in the form that `report.schema.json` lays down."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, cast

import numpy as np

from mathlab import __version__
from mathlab.errors import Problem
from mathlab.outputs.difference import Difference
from mathlab.reports.values import Record, array, number, place_keys, plain
from mathlab.results import (
    BackpropResult,
    CaseResult,
    EntryCheck,
    ExperimentResult,
    FigureResult,
    FormulaResult,
    GradcheckResult,
    NodeResult,
    Share,
    StageResult,
    SweepResult,
    Tally,
    TrainResult,
    WitnessResult,
    tally,
)
from mathlab.stages.table import STAGES

if TYPE_CHECKING:
    from mathlab.oracle.oracle import OracleResult

VERSION = 1  # of the form; a key that goes, or changes its meaning, makes a new one


def report(command: str, passed: bool, problems: Iterable[Problem]) -> Record:
    """What every report has; `passed` is false whenever there are problems."""
    return {
        "version": VERSION,
        "mathlab": __version__,
        "command": command,
        "passed": passed,
        "problems": [{"message": problem.message, **place_keys(problem.place)} for problem in problems],
    }


def experiment(result: ExperimentResult) -> Record:
    """One experiment with all that ran for it."""
    about = result.experiment
    counts = tally(result)
    return {
        "name": about.name,
        "config": about.path,
        "sha256": about.sha256,
        "title": about.title,
        "source": {"title": about.source.title, "url": about.source.url, "note": about.source.note},
        "passed": counts.passed,
        "summary": summary(counts),
        "cases": [_case(case) for case in result.cases],
    }


def summary(counts: Tally) -> Record:
    """The counts by their names."""
    return {name: getattr(counts, name) for name in counts.__dataclass_fields__}


def difference(found: Difference, most: int) -> Record:
    """At most `most` of the cells that differ and of what one side only has; the counts are complete."""
    changes, one_sided = found.worst(most)
    return {
        "files": list(found.files),
        "cells": found.cells,
        "changed": found.changed,
        "changes": [
            {
                "file": change.file,
                "row": change.key,
                "column": change.column,
                "a": change.a,
                "b": change.b,
                "relative_error": number(change.error),
            }
            for change in changes
        ],
        "missing": found.missing,
        "one_sided": [
            {"file": item.file, "kind": item.kind, "what": item.what, "side": item.side} for item in one_sided
        ],
    }


def oracle(result: OracleResult) -> Record:
    """One case beside somebody else's arrays."""
    return {
        "case": result.case,
        "passed": result.passed,
        "first_divergence": result.first_divergence,
        "ignored": list(result.ignored),
        "causes": [
            {
                "cause": why.cause,
                "instead": why.instead,
                "explains": list(why.explains),
                "others": list(why.others),
                "upon": why.upon,
            }
            for why in result.causes
        ],
        "tried": result.tried,
        "known": result.known,
        "arrays": [
            {
                "array": row.array,
                "quantity": row.quantity,
                "shape": list(row.shape),
                "expected_shape": list(row.expected),
                "fits": row.fits,
                "index": list(row.index),
                "given": number(row.given),
                "computed": number(row.computed),
                "tolerance": number(row.tolerance),
                "passed": row.passed,
                "diagnosis": row.diagnosis,
            }
            for row in result.compared
        ],
    }


def _case(case: CaseResult) -> Record:
    counts = tally(case)
    return {
        "case": case.case,
        "dtype": case.dtype,
        "passed": counts.passed,
        "summary": summary(counts),
        **{name: _stage(case.stages[name]) if name in case.stages else None for name in STAGES},
    }


def _stage(result: StageResult) -> Record:
    match result:
        case BackpropResult():
            return _backprop(result)
        case GradcheckResult():
            return _gradcheck(result)
        case TrainResult():
            return _train(result)
        case SweepResult():
            return _sweep(result)
    return cast(Record, plain(result))


def _backprop(result: BackpropResult) -> Record:
    return {
        "nodes": [_node(node, result.shares.get(node.name, ())) for node in result.nodes],
        "figures": [_figure(figure) for figure in result.figures],
        "formulas": [_formula(formula) for formula in result.formulas],
        "witnesses": [_witness(witness) for witness in result.witnesses],
        "first_nonfinite": result.first_nonfinite,
    }


def _node(node: NodeResult, shares: Sequence[Share]) -> Record:
    return {
        "name": node.name,
        "role": node.role,
        "shape": list(node.value.shape),
        "equation": node.equation,
        "value": array(node.value),
        "gradient": None if node.gradient is None else array(node.gradient),
        "gradient_equation": node.gradient_equation,
        "parts": [{"name": part.name, "equation": part.equation, "value": array(part.value)} for part in node.parts],
        "reads": list(node.reads),
        "shares": [_share(share) for share in shares],
        "stores": list(node.stores),
        "note": node.note,
    }


def _share(share: Share) -> Record:
    factors = {factor.name: {"equation": factor.equation, "value": array(factor.value)} for factor in share.factors}
    return {
        "from": share.reader,
        "equation": share.equation,
        "value": array(share.value),
        "upstream": factors.get("upstream"),
        "local": factors.get("local"),
        "fused": list(share.fused),
    }


def _figure(figure: FigureResult) -> Record:
    return {
        "quantity": figure.key,
        "shape": list(figure.shape),
        "updates": figure.updates,
        "passed": figure.passed,
        "at": figure.at,
        "because": figure.because,
        "erratum": figure.erratum,
        "worked_out": figure.worked_out,
        "diagnosis": figure.diagnosis,
        "first_divergence": figure.first_divergence,
        "entries": [
            {
                "index": list(index),
                "printed": entry.printed,
                "computed": number(entry.computed),
                "shown": entry.shown,
                "error": None if entry.error is None else number(float(entry.error)),
                "tolerance": number(float(entry.tolerance)),
                "verdict": entry.verdict.label,
                "passed": entry.verdict.passed,
                **place_keys(entry.place),
            }
            for index, entry in zip(np.ndindex(figure.shape), figure.entries, strict=True)
        ],
    }


def _formula(formula: FormulaResult) -> Record:
    return {
        "name": formula.name,
        "formula": formula.formula,
        "derived": formula.derived,
        "error": number(formula.error),
        "tolerance": number(formula.tolerance),
        "verdict": formula.label,
        "passed": formula.passed,
        "message": formula.message,
        "at": formula.at,
        "erratum": formula.erratum,
        "diagnosis": formula.diagnosis,
        **place_keys(formula.place),
    }


def _witness(result: WitnessResult) -> Record:
    return {
        "name": result.name,
        "witness": result.witness,
        "relative": None if result.relative is None else number(result.relative),
        "ulp": None if result.ulp is None else number(result.ulp),
        "verdict": result.verdict,
        "passed": result.passed,
        "message": result.message,
    }


def _gradcheck(result: GradcheckResult) -> Record:
    return {
        "entries": [_entry(entry) for entry in result.entries],
        "figures": [_figure(figure) for figure in result.figures],
    }


def _entry(entry: EntryCheck) -> Record:
    return {
        "parameter": entry.parameter,
        "index": list(entry.index),
        "derived": number(entry.derived),
        "complex_step": number(entry.complex_step),
        "central": number(entry.central),
        "resolution": number(entry.resolution),
        "absolute_error": number(entry.absolute_error),
        "relative_error": number(entry.relative_error),
        "verdict": entry.verdict,
        "passed": entry.passed,
    }


def _sweep(result: SweepResult) -> Record:
    return {
        "runs": len(result.nonfinite),
        "stacked": result.stacked,
        "settings": {
            key: [
                None if choice is None else {"written": choice.label, "number": number(choice.number)}
                for choice in chosen
            ]
            for key, chosen in result.settings.items()
        },
        "columns": {key: [number(value) for value in column.tolist()] for key, column in result.columns.items()},
        "nonfinite": list(result.nonfinite),
    }


def _train(result: TrainResult) -> Record:
    return {
        "updates": result.updates,
        "columns": {name: [number(float(value)) for value in values] for name, values in result.columns.items()},
        "parameters": {name: array(values) for name, values in result.parameters.items()},
        "first_nonfinite": result.first_nonfinite,
        "figures": [_figure(figure) for figure in result.figures],
    }
