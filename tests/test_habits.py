"""Habits from other tools: each of these mistakes gets the sentence that mends it."""

from __future__ import annotations

import ast
import keyword
import re
from collections.abc import Callable
from pathlib import Path

import pytest

from mathlab import changed, habits, run
from mathlab.config import arrays, change, load, schema
from mathlab.config.arrays import INITS
from mathlab.config.keys import Keys
from mathlab.config.yamltext import Scalar, Tree
from mathlab.errors import ExpressionError, MathlabError, Place, did_you_mean
from mathlab.experiment import DRAWN, DTYPES, PLOTTED
from mathlab.language import OPS
from mathlab.language.check import read
from mathlab.language.layers import LAYERS, LOSSES
from mathlab.language.optimizers import SETTINGS
from mathlab.stages.prepare import prepare

NET = "inputs: {x: [2, -1], y: 1}\nparameters: {w: [0.3, -0.7], b: 0.1}\nequations:\n  s: w @ x + b\n  p: sigmoid(s)\n"
LAYERED = "inputs: {x: [[2, -1]], y: [[1.0, 0.0]]}\nparameters: {W: [[1, 2], [3, 4]], b: [0, 0]}\n"
FORMS = {
    "equation": NET + "  loss: %\n",
    "figure": NET + "  loss: (y - p)**2\nexpected:\n  %\n",
    "formula": NET + "  loss: (y - p)**2\nderivation:\n  %\n",
    "optimizer": NET + "  loss: (y - p)**2\ntrain:\n  epochs: 3\n  optimizer: %\n",
    "training": NET + "  loss: (y - p)**2\ntrain:\n  optimizer: {name: sgd, lr: 0.1}\n  %\n",
    "layer": LAYERED + "layers: [%]\nloss: half_sse\n",
    "loss": LAYERED + "layers: [{affine: {W: W, b: b}}]\nloss: %\n",
    "value": "parameters:\n  W: %\nequations: {z: sum(W)}\n",
    "config": "%",
}
MISTAKES = [
    (
        "equation",
        "np.sum((y - p)**2)",
        "'np.sum((y - p)**2)' is not in the equation language; write sum(...), with nothing before it",
    ),
    (
        "equation",
        "torch.log(p)",
        "'torch.log(p)' is not in the equation language; write log(...), with nothing before it",
    ),
    (
        "equation",
        "nn.ReLU()(s)",
        "'nn.ReLU()(s)' is not in the equation language; write relu(...), with nothing before it",
    ),
    ("equation", "nn.CrossEntropyLoss()(s, y)", "write cross_entropy(...), with nothing before it"),
    ("equation", "F.binary_cross_entropy_with_logits(s, y)", "write mean(softplus(z) - t * z)"),
    ("equation", "w %*% x", "not an expression: a product of matrices is written '@'"),
    ("equation", "tanh.(w * x)", "not an expression: a function is called as in tanh(x), and takes every entry"),
    (
        "equation",
        "w[end] * s",
        "unknown name 'end' in 'loss'; write -1 for the last entry, and x[1:] for all from 1 on",
    ),
    (
        "equation",
        "sum(w[i] * x[i] for i in range(2))",
        "; arrays are read whole, as in sum(w * x), and steps are a loop, 'for t in 1..T:'",
    ),
    ("equation", "'lambda s: s**2'", "; an equation says its value, with the names that it reads"),
    ("equation", "s\n  s += b: b", "; a name is given once, and what comes of it has another"),
    (
        "equation",
        "tf.reduce_sum(x)",
        "'tf.reduce_sum(x)' is not in the equation language; write sum(...), with nothing before it",
    ),
    ("equation", "np.power(s, 2)", "'np.power(s, 2)' is not in the equation language; write x**2"),
    ("equation", "p.mean(axis=0)", "'p.mean(axis=0)' is not in the equation language; write mean(p, ...)"),
    ("equation", "w.t() @ x", "'w.t()' is not in the equation language; write w.T"),
    ("equation", "x.shape[0] * p", "'.shape' is not in the equation language; write shape(x)"),
    (
        "equation",
        "s.detach()",
        "'s.detach()' is not in the equation language; write an input in its place, through which no gradient passes",
    ),
    ("equation", "np.pi * s", "'.pi' is not in the equation language; write pi"),
    ("equation", "s^2", "'^' is not in the equation language; a power is written x**2"),
    ("equation", "w^T @ x", "'^' is not in the equation language; a transpose is written x.T"),
    ("equation", "w · x", "not an expression: a product is written '*', that of matrices '@'"),
    ("equation", "w ⊙ x", "not an expression: an entry-wise product is written '*'"),
    ("equation", "s ÷ 2", "not an expression: a quotient is written a / b"),
    ("equation", "−s", "not an expression: a minus sign is written '-'"),
    ("equation", "2s", "not an expression: a product is written with '*' near '2s'"),
    (
        "equation",
        "2 x",
        "not an expression: before 'x' an operator is missing: a product is a * b or a @ b, a call f(x)",
    ),
    (
        "equation",
        "exp s",
        "not an expression: before 's' an operator is missing: a product is a * b or a @ b, a call f(x)",
    ),
    ("equation", "s²", "unknown name 's2' in 'loss'; write x**2 for a power"),
    ("equation", "wᵀ @ x", "unknown name 'wT' in 'loss'; write x.T for a transpose"),
    ("equation", "√s", "not an expression: a root is written sqrt(x)"),
    ("equation", "∑ x", "not an expression: a sum is written sum(x)"),
    ("equation", "σ(s) + lg(p)", "unknown function 'σ'; write sigmoid(x)"),
    ("equation", "s ≥ 0", "not an expression: comparisons are written '>=', '<=', '==' and '!='"),
    ("equation", "s = w @ x", "not an expression: write only what stands to the right of '='"),
    ("equation", "0,5 * s", "a decimal point is written '.', and a list stands in brackets"),
    (
        "equation",
        "s if s > 0 else 0",
        "'s if s > 0 else 0' is not in the equation language; a choice is written where(c, a, b)",
    ),
    (
        "equation",
        "s > 0 and p > 0",
        "'s > 0 and p > 0' is not in the equation language; of two masks the product is taken, as in (a > 0) * (b > 0)",
    ),
    ("equation", "w' * x", "not an expression: a transpose is written x.T, and what is derived d<name>"),
    ("equation", "$w$", "not an expression: an expression is not LaTeX: write sigmoid(x), w @ x, a / b"),
    ("equation", "\\\\sigma(s)", "not an expression: an expression is not LaTeX: write sigmoid(x), w @ x, a / b"),
    ("equation", "max(0, s)", "; of two values it is maximum(a, b), and along an axis max(x, axis=0)"),
    ("equation", "sum(x, dim=0)", "sum has no argument 'dim'; did you mean 'axis'?"),
    ("equation", "clamp(s, 0, 1)", "unknown function 'clamp'; write clip(x, low, high)"),
    ("equation", "swish(s)", "unknown function 'swish'; write silu(x)"),
    ("equation", "ReLU(s)", "unknown function 'ReLU'; did you mean 'relu'?"),
    ("equation", "flatten(x)", "unknown function 'flatten'; write reshape(x, -1)"),
    ("equation", "mse_loss(p, y)", "unknown function 'mse_loss'; write mean((y - t)**2)"),
    ("equation", "π * s", "unknown name 'π' in 'loss'; write pi"),
    ("equation", "x_1", "unknown name 'x_1' in 'loss'; did you mean 'x', or an entry of it, as in x[0]?"),
    ("equation", "x(0)", "unknown function 'x'; an entry is written x[0]"),
    ("equation", "|s|", "stands in quotes, and an absolute value is written abs(x), a norm norm(x)"),
    ("equation", "@x", "; an expression, or a text, of this kind stands in quotes"),
    ("figure", "w.grad: 0.1", "'.grad' is not in the equation language; the gradient of w is dw"),
    ("figure", "dL/dw: [0.1, 0.2]", "unknown name 'dL' in 'dL/dw'; the gradient of 'w' is 'dw'"),
    ("figure", "∂L/∂w: [0.1, 0.2]", "not an expression: the gradient of w is written dw, without '∂' and '∇'"),
    ("figure", "grad_w: [0.1, 0.2]", "unknown name 'grad_w'; the gradient of 'w' is 'dw'"),
    ("figure", "grad(w): [0.1, 0.2]", "unknown function 'grad'; the gradient of w is written dw"),
    ("figure", "loss: 0,039", "a number is needed here, not '0,039'; a decimal point is written '.', as in 0.039"),
    (
        "figure",
        "loss: ≈ 0.039",
        "a number is needed here, not '≈ 0.039'; write 0.039 alone, whose digits say how precise it is",
    ),
    ("figure", "loss: 3.9×10⁻²", "a number is needed here, not '3.9×10⁻²'; a power of ten is written as in 3.9e-2"),
    (
        "figure",
        "loss: 0.039 ± 0.001",
        "a number is needed here, not '0.039 ± 0.001'; write 0.039 alone, whose digits say how precise it is",
    ),
    ("figure", "loss: 3.9%", "a number is needed here, not '3.9%'; a percentage is written as a fraction, as in 0.25"),
    ("figure", "loss: 1 000.5", "a number is needed here, not '1 000.5'; digits stand without separators"),
    (
        "figure",
        "dw: (0.1, 0.2)",
        "a number is needed here, not '(0.1, 0.2)'; a list is written [1, 2], in brackets and with commas",
    ),
    (
        "figure",
        "dw: [0.1 0.2]",
        "a number is needed here, not '0.1 0.2'; a list is written [1, 2], in brackets and with commas",
    ),
    ("figure", "loss=0.039", "a mapping is needed here, not 'loss=0.039'; write loss: 0.039"),
    ("figure", "loss:0.039", "a mapping is needed here, not 'loss:0.039'; write loss: 0.039"),
    ("figure", "- loss: 0.039", "a mapping is needed here, not a list; write 'name: value', without '-' and brackets"),
    ("figure", "loss: {value: 0.039}", "unknown key 'value'; did you mean 'printed'?"),
    ("figure", "loss: {printed: 0.039, tolerance: 0.01}", "unknown key 'tolerance'; did you mean 'digits'?"),
    (
        "formula",
        "dL/dw: ds * x",
        "'dL/dw' is not a name: letters, digits and '_', beginning with a letter; the gradient of w is written dw",
    ),
    (
        "formula",
        "grad_w: ds * x",
        "a derivation gives the gradient d<name> of a name, and 'grad_w' is none; the gradient of 'w' is 'dw'",
    ),
    ("formula", "dw = ds * x", "a mapping is needed here, not 'dw = ds * x'; write dw: ds * x"),
    ("optimizer", "sgd", "a mapping is needed here, not 'sgd', as in {name: sgd, lr: 0.1}"),
    ("optimizer", "{name: AdamW}", "unknown optimizer 'AdamW'; did you mean 'adamw'?"),
    ("optimizer", "{name: gradient_descent, lr: 0.1}", "unknown optimizer 'gradient_descent'; did you mean 'sgd'?"),
    ("optimizer", "{name: sgd, learning_rate: 0.1}", "sgd has no setting 'learning_rate'; did you mean 'lr'?"),
    ("optimizer", "{name: sgd, lr=0.1}", "sgd has no setting 'lr=0.1'; write lr: 0.1"),
    ("optimizer", "{name: sgd, lr:0.1}", "sgd has no setting 'lr:0.1'; write lr: 0.1"),
    (
        "optimizer",
        "{name: sgd, lr: 0,1}",
        "sgd has no setting '1'; a decimal point is written '.', and a list stands in brackets",
    ),
    (
        "optimizer",
        "{name: sgd, lr: 0.1, momentum: 0.9}",
        "sgd has no setting 'momentum'; that is the optimizer 'momentum'",
    ),
    ("optimizer", "{name: adam, betas: 1}", "adam has no setting 'betas'; did you mean 'beta1'?"),
    ("optimizer", "{name: rmsprop, rho: 0.9}", "rmsprop has no setting 'rho'; did you mean 'alpha'?"),
    ("training", "steps: 3", "unknown key 'steps'; did you mean 'epochs'?"),
    ("training", "epochs: 3\n  shuffle: true", "unknown key 'shuffle'; did you mean 'seed'?"),
    ("training", "epochs: 3\n  expected: {b: 1}", "unknown key 'expected'; did you mean 'after'?"),
    (
        "figure",
        "p: 0.8\n  at: section 5",
        "'at' stands in the braces of what it is said of, as in y: {printed: ..., at: ...}",
    ),
    ("formula", "at: section 5", "'at' stands in the braces of what it is said of, as in y: {formula: ..., at: ...}"),
    (
        "figure",
        "gradients: {w: [0.1, 0.2]}",
        "'gradients' has no 'printed': it groups nothing here, and what is in it stands beside the others, "
        "the gradient of w as dw",
    ),
    ("figure", "forward: {p: 0.8}", "it groups nothing here, and what is in it stands beside the others"),
    ("figure", "p: {}", "'printed' is missing"),
    ("figure", "p: {prnted: 0.8}", "unknown key 'prnted'; did you mean 'printed'?"),
    ("figure", "w: {0: 0.1, 1: 0.2}", "not a mapping from numbers; write [0.5, -1], in order"),
    ("equation", "!s", "not an expression: what is not so is written (x == 0)"),
    ("equation", "!s", "tags are not used in a config, and what begins with '!' stands in quotes"),
    ("equation", "!(s > 1)", "stands in quotes, and what is not so is written (x == 0)"),
    ("equation", "f(s) = s**2", "not an expression: write only what stands to the right of '='"),
    ("equation", "where s > 0 then 1 else 0", "not an expression: a choice is written where(c, a, b)"),
    ("equation", "s by y", "before 'by y' an operator is missing: a product is a * b or a @ b, a call f(x)"),
    ("layer", "{affine: , W: W, b: b}", "of 3 keys; what belongs to 'affine' is indented further than it"),
    (
        "config",
        "inputs: {x: 1}\nequations:\n  for i in 1..4 step 2:\n    h[i]: x\n",
        "a loop counts by one, and what it skips is told by its steps, as in x[2 * t]",
    ),
    (
        "config",
        "inputs: {x: [1, 2]}\nequations: {a: 'x[1]', b: 'x[1.0]'}\n",
        "an index must be a whole number, not 1.0",
    ),
    (
        "config",
        "inputs: {z: [[1, 2], [3, 4]]}\nequations: {a: 'cross_entropy(z, [1, 0])', b: 'cross_entropy(z, [1.0, 0])'}\n",
        "in b: an index must be a whole number, and '[1.0, 0]' is computed",
    ),
    ("layer", "{dense: {W: W, b: b}}", "unknown layer 'dense'; did you mean 'affine'?"),
    ("layer", "{Linear: {W: W}}", "unknown layer 'Linear'; did you mean 'affine'?"),
    ("layer", "{affine: {weight: W}}", "affine has no 'weight'; did you mean 'W'?"),
    ("layer", "{affine: {W: W}}, LeakyReLU", "unknown layer 'LeakyReLU'; did you mean 'leaky_relu'?"),
    ("loss", "MSELoss", "unknown loss 'MSELoss'; did you mean 'mse'?"),
    ("loss", "binary_crossentropy", "unknown loss 'binary_crossentropy'; did you mean 'bce'?"),
    ("loss", "categorical_crossentropy", "unknown loss 'categorical_crossentropy'; did you mean 'cross_entropy'?"),
    ("value", "0,5", "a number is needed here, not '0,5'; a decimal point is written '.', as in 0.5"),
    ("value", "1 2 3", "a number is needed here, not '1 2 3'; a list is written [1, 2], in brackets and with commas"),
    (
        "value",
        "np.random.randn(2, 2)",
        "values are drawn as in {init: normal, shape: [2, 3], seed: 0}",
    ),
    (
        "value",
        "np.array([1, 2])",
        "a number is needed here, not 'np.array([1, 2])'; the numbers stand alone, in brackets",
    ),
    ("value", "w.csv", "a number is needed here, not 'w.csv'; a file is named as in {file: w.csv}"),
    ("value", "1/3", "a number is needed here, not '1/3'; a fraction is written out in digits, or is an equation"),
    ("value", "{init: glorot, shape: [2, 2]}", "unknown init 'glorot'; did you mean 'xavier'?"),
    ("value", "{init: normal, size: [2, 2]}", "unknown key 'size'; did you mean 'shape'?"),
    ("value", "{init: normal, shape: 2x2}", "a number is needed here, not '2x2'; a shape is written [2, 2]"),
    ("value", "{init: normal, shape: 2, stddev: 1}", "unknown key 'stddev'; did you mean 'std'?"),
    ("config", "params: {x: 1}\nequations: {y: 2 * x}\n", "unknown key 'params'; did you mean 'parameters'?"),
    ("config", "parameters: {x: 1}\nforward: {y: 2 * x}\n", "unknown key 'forward'; did you mean 'equations'?"),
    (
        "config",
        "parameters: {x: 1}\nequations: {y: 2 * x}\nresults: {y: 2}\n",
        "unknown key 'results'; did you mean 'expected'?",
    ),
    (
        "config",
        "parameters: {x: 1}\nequations: {y: 2 * x}\ndtype: double\n",
        "unknown dtype 'double'; did you mean 'float64'?",
    ),
    ("config", "parameters:\nx: 1\n", "unknown key 'x'; what belongs to 'parameters' is indented"),
    (
        "config",
        "parameters: {x: 1}\nequations:\n\ty: 2 * x\n",
        "a tab stands here, and YAML is indented by spaces alone",
    ),
    (
        "config",
        "parameters: {x: 1}\nequations:\n  y: 2 * x\n   z: y\n",
        "; this line is indented by 3, the one above it by 2",
    ),
    (
        "config",
        "parameters: {x=1}\nequations: {z: x}\n",
        "'x=1' is not a name: letters, digits and '_', beginning with a letter; write x: 1",
    ),
    (
        "config",
        "parameters: {x: 1}\nequations:\n  - y: 2 * x\n",
        "a mapping is needed here, not a list; write 'name: value', without '-' and brackets",
    ),
    ("equation", "mean((y - p)²)", "not an expression: write x**2 for a power"),
    ("equation", "p(1 - p)", "unknown function 'p'; a product is written p * (...)"),
    ("equation", "2(s + 1)", "a product is written with '*' in '2(s + 1)'"),
    ("equation", "(1 - p)(1 - y)", "a product is written with '*' in '(1 - p)(1 - y)'"),
    ("equation", "1.000,5 * s", "a decimal point is written '.', and a list stands in brackets"),
    ("equation", "s -> 2", "not an expression: write the expression alone"),
    ("equation", "sum(x, axis=0, keepdims=true)", "keepdims of sum must be True or False, not 'true'; write True"),
    ("equation", "nn.ReLU(s)", "'nn.ReLU(s)' is not in the equation language; write relu(...), with nothing before it"),
    ("equation", "kl_div(p, y)", "unknown function 'kl_div'; write sum(t * log(t / y))"),
    ("equation", "softmin(x)", "unknown function 'softmin'; write softmax(-x)"),
    ("equation", "smooth_l1(p - y)", "unknown function 'smooth_l1'; write huber(y - t)"),
    (
        "equation",
        "cosine_similarity(w, x)",
        "unknown function 'cosine_similarity'; write dot(a, b) / (norm(a) * norm(b))",
    ),
    ("equation", "‖x‖", "not an expression: a norm is written norm(x)"),
    ("equation", "x⊤ @ w", "not an expression: write x.T for a transpose"),
    ("equation", "x_{1}", "not an expression: an entry is written x[0], a power x**2"),
    ("equation", "Sum(x)", "unknown function 'Sum'; did you mean 'sum'?"),
    ("equation", "“s”", "not an expression: quotes of this kind are no part of an expression"),
    ("equation", "s,", "',' is not part of an expression; write the expression alone"),
    ("equation", '"s" + 1', "; an expression, or a text, of this kind stands in quotes"),
    ("equation", "s.pow(2)", "'s.pow(2)' is not in the equation language; write pow(s, ...)"),
    (
        "equation",
        "torch.sigmoid(s).sum()",
        "'torch.sigmoid(s).sum()' is not in the equation language; write sum(torch.sigmoid(s))",
    ),
    ("figure", "dL/dw[0]: 1", "unknown name 'dL' in 'dL/dw[0]'; the gradient of 'w' is 'dw'"),
    ("figure", "dLdw: [1, 2]", "unknown name 'dLdw'; the gradient of 'w' is 'dw'"),
    ("figure", "g_w: [1, 2]", "unknown name 'g_w'; the gradient of 'w' is 'dw'"),
    ("figure", "loss: 0.039,", "a number is needed here, not '0.039,'; write 0.039 alone"),
    ("figure", "loss: 0.039 (rounded)", "a number is needed here, not '0.039 (rounded)'; write 0.039 alone"),
    ("figure", "loss: $0.039$", "a number is needed here, not '$0.039$'; write 0.039 alone"),
    ("figure", "loss: 1,234.5", "a number is needed here, not '1,234.5'; digits stand without separators"),
    (
        "figure",
        "loss: {0.039, at: eq}",
        "unknown key '0.039'; a decimal point is written '.', and a list stands in brackets",
    ),
    ("optimizer", "{name: torch.optim.Adam, lr: 0.1}", "unknown optimizer 'torch.optim.Adam'; did you mean 'adam'?"),
    (
        "optimizer",
        "{name: sgd, lr: 10%}",
        "a number is needed here, not '10%'; a percentage is written as a fraction, as in 0.25",
    ),
    ("optimizer", "{name: adam, β1: 0.9}", "adam has no setting 'β1'; did you mean 'beta1'?"),
    ("training", "epochs: 1,000", "a number is needed here, not '1,000'; write 1.000 or 1000, without ','"),
    ("training", "epochs: 1\n  mini_batch: 1", "unknown key 'mini_batch'; did you mean 'batch_size'?"),
    (
        "training",
        "epochs: 1\n  after:\n    epoch 1: {w: [1, 2]}",
        "a number is needed here, not 'epoch 1'; write 1 alone",
    ),
    ("layer", "{affine: {W: W}}, nn.ReLU", "unknown layer 'nn.ReLU'; did you mean 'relu'?"),
    (
        "optimizer",
        "{name: sgd, lr: 0.1, decay: 0.9}",
        "sgd has no setting 'decay'; it has lr, clip_value, clip_norm, weight_decay, clip_eps",
    ),
    ("loss", "nn.MSELoss", "unknown loss 'nn.MSELoss'; did you mean 'mse'?"),
    ("loss", "mse(y, z1)", "unknown loss 'mse(y, z1)'; did you mean 'mse'?"),
    ("loss", "xent", "unknown loss 'xent'; did you mean 'cross_entropy'?"),
    ("value", "he", "a number is needed here, not 'he'; values are drawn as in {init: normal, shape: [2, 3], seed: 0}"),
    (
        "value",
        "zeros(2, 2)",
        "a number is needed here, not 'zeros(2, 2)'; values are made as in {init: zeros, shape: [2, 3]}",
    ),
    (
        "value",
        "sqrt(2)",
        "a number is needed here, not 'sqrt(2)'; a formula is written out in digits, or is an equation",
    ),
    (
        "value",
        "range(4)",
        "a number is needed here, not 'range(4)'; a formula is written out in digits, or is an equation",
    ),
    ("config", "parameters:\n  w:[1, 2]\n  b:3\nequations: {y: 2 * w}\n", "; write w: [1, 2]"),
    ("config", "parameters: {x: 1}\nequations: {y: 2 * x}\nbatch_size: 8\n", "; it stands below 'train'"),
    ("value", "{init: constant, shape: [2, 2], fill: 1}", "unknown key 'fill'; did you mean 'value'?"),
    (
        "value",
        "{init: normal, shape: 2, 3}",
        "unknown key '3'; a decimal point is written '.', and a list stands in brackets",
    ),
    (
        "config",
        "parameters: {x: 1}\nequations: {y: 2 * x}\nverify: {y: 2}\n",
        "unknown key 'verify'; did you mean 'expected'?",
    ),
    ("config", "vars: {x: 1}\nequations: {y: 2 * x}\n", "unknown key 'vars'; did you mean 'parameters'?"),
    ("config", "parameters: {x: 1}\nequations: x**2\n", "a mapping is needed here, not 'x**2', as in {y: w * x}"),
    ("config", " parameters:\n  x: 1\nequations: {y: 2 * x}\n", "; this line is indented by 0, the one above it by 2"),
    # what newcomers tried, and the table had not
    ("equation", "tf.nn.softmax_cross_entropy_with_logits(y, s)", "write cross_entropy(...), with nothing before it"),
    ("equation", "np.linalg.inv(x)", "is not in the equation language, and nothing here is called 'inv'"),
    ("equation", "x.sort(0)", "is not in the equation language, and nothing here is called 'sort'"),
    ("equation", "inv(x)", "unknown function 'inv'; mathlab guide language lists what there is"),
    ("equation", "trace(x)", "unknown function 'trace'; write einsum('ii->', x)"),
    ("equation", "jax.lax.stop_gradient(s)", "write an input in its place, through which no gradient passes"),
    ("equation", "s.astype(float)", "write the value itself"),
    ("equation", "sum(w, dims=1)", "sum has no argument 'dims'; did you mean 'axis'?"),
    (
        "equation",
        "norm(w, 1)",
        "norm takes at most 1 argument (x), not 2; it "
        "is the root of the sum of squares, and along an axis norm(x, axis=0)",
    ),
    ("equation", "max_pool(w, kernel_size=2)", "max_pool has no argument 'kernel_size'; did you mean 'size'?"),
    ("equation", "conv2d(w, x, groups=2)", "conv2d has no argument 'groups'; it has x, k, stride, pad, dilation"),
    ("equation", "masked_fill(x, x > 0, 0)", "unknown function 'masked_fill'; write where(mask, value, x)"),
    (
        "equation",
        "w @ x / sqrt(d_x)",
        "unknown name 'd_x' in 'loss'; what it stands for is given in inputs or parameters",
    ),
    ("equation", "norm(w, 'fro')", "'fro' is not a number; only einsum reads a text, before its arrays"),
    ("equation", "sum(x[..., 0])", "... is not a number; an axis is a ':' of its own"),
    ("equation", "x[:, np.newaxis]", "'.newaxis' is not in the equation language; write None, as in x[:, None]"),
    ("equation", "sum(x[1:end])", "write -1 for the last entry, and x[1:] for all from 1 on"),
    ("equation", "p * * 2", "not an expression: a power is written x**2"),
    ("equation", "w @= x", "not an expression: write only what stands to the right of '='"),
    ("equation", "sigmoid'(s)", "written out, as in sigmoid(x) * (1 - sigmoid(x)), or (x > 0) of relu"),
    ("equation", "d/dw s", "not an expression: the gradient of w is written dw"),
    ("equation", "⟨w, x⟩", "not an expression: an inner product is written dot(a, b)"),
    ("equation", "w{0}", "not an expression: an entry is written x[0], a power x**2"),
    ("equation", "softmax(x)_0", "not an expression: an entry is written x[0], a power x**2"),
    ("equation", "5% * s", "not an expression: a percentage is written as a fraction, as in 0.25"),
    ("equation", "1 000 * s", "not an expression: digits stand without separators"),
    ("equation", "1.5.2 * s", "not an expression: a number has one decimal point"),
    ("equation", "s; p", "not an expression: an equation is one expression, without ';'"),
    ("equation", "lambda * sum(w**2)", "not an expression: a word of Python is no name"),
    ("equation", "if s > 0: s else 0", "stands in quotes, and a choice is written where(c, a, b)"),
    (
        "equation",
        "-(y log(p) + (1 - y) log(1 - p))",
        "before 'log(p) + (1 ' an operator is missing: a product is a * b or a @ b, a call f(x)",
    ),
    ("equation", "θ * s", "unknown name 'θ' in 'loss'; what it stands for is given in inputs or parameters"),
    ("equation", "wx + b", "unknown name 'wx' in 'loss'; a product is written w @ x, or w * x"),
    ("equation", "dp * p", "equations read no gradients: those stand in 'expected' and in 'derivation'"),
    ("equation", "mse", "unknown name 'mse' in 'loss'; write mean((y - t)**2)"),
    ("figure", "loss: 0.039 at eq. 3", "a number is needed here, not '0.039 at eq. 3'; write 0.039 alone"),
    ("figure", "loss: 0.80 (2dp)", "a number is needed here, not '0.80 (2dp)'; write 0.80 alone"),
    ("figure", 'dw: "[0.1, 0.2]"', "a number is needed here, not '[0.1, 0.2]'; a list stands without quotes"),
    ("figure", "dw: [0.1, 0.2", "; what '[' opens on line 8 is not closed"),
    ("figure", "dw: [0.1, 0.2]]", "; a bracket is closed that nothing opened"),
    ("figure", "dw: [[1; 2]; [3; 4]]", "; rows of a list are divided by commas, as in [[1, 2], [3, 4]]"),
    ("figure", "dw: [0.1, ...]", "a number is needed here, not '...'; a figure gives every entry, or one, as in dw[0]"),
    ("figure", "w_new: [1, 2]", "unknown name 'w_new'; what 'w' is after an update is a figure 'w' in train's 'after'"),
    ("figure", "accuracy: 0.9", "unknown name 'accuracy'; write mean(argmax(p, axis=1) == t)"),
    ("figure", "||dw||: 0.1", "stands in quotes, and an absolute value is written abs(x), a norm norm(x)"),
    ("figure", "p: 0.80, loss: 0.039", "; each key has a line of its own, or all of them stand in braces"),
    ("figure", "p == 0.80", "a mapping is needed here, not 'p == 0.80'; write p: 0.80"),
    ("figure", "p 0.80", "a mapping is needed here, not 'p 0.80'; write p: 0.80"),
    ("formula", "ds: dL/dp * p", "unknown name 'dL' in 'dL/dp * p'; the gradient of 'p' is 'dp'"),
    ("optimizer", "{name: sgd, lr: -0.1}", "the learning rate is -0.1; it is to be 0 or more"),
    (
        "optimizer",
        "{name: sgd, lr: 10^-3}",
        "a number is needed here, not '10^-3'; a power of ten is written as in 3.9e-2",
    ),
    (
        "optimizer",
        "{name: sgd, lr: 0.1 / step}",
        "unknown name 'step' in the learning rate, which reads t, epoch, pi alone",
    ),
    (
        "optimizer",
        "{name: sgd, lr: where(t < 5, 0.1, 0.01)}",
        "not an expression: '(' was never closed near '(t < 5'; in quotes, if YAML's brackets cut it off at a comma",
    ),
    ("optimizer", "{name: sgd, lr: 0.1, clip_norm: -1}", "clip_norm is -1; it is to be 0 or more"),
    ("optimizer", "{name: adam, eps: -1e-8}", "eps is -1e-8; it is to be 0 or more"),
    ("optimizer", "{name: adam, beta1: 1.5}", "beta1 is 1.5; it is to be less than 1"),
    ("optimizer", "{name: adamw, beta2: 1}", "beta2 is 1; it is to be less than 1"),
    ("optimizer", "{name: rmsprop, alpha: 99}", "alpha is 99; it is to be less than 1"),
    ("optimizer", "{name: averaged_momentum, lr: 1, momentum: 2}", "momentum is 2; it is to be less than 1"),
    ("optimizer", "{type: sgd, lr: 0.1}", "; write {name: sgd, lr: 0.1}"),
    ("optimizer", "{name: optax.adam}", "unknown optimizer 'optax.adam'; did you mean 'adam'?"),
    ("optimizer", "{name: sgd, η: 0.1}", "sgd has no setting 'η'; did you mean 'lr'?"),
    ("training", "epochs: 1\n  after: {w: [1, 2]}", "below a number of updates, as in 'after: {1: {w: 0.5}}'"),
    ("training", "epochs: 1\n  after: {1: {b: 0,1}}", "a decimal point is written '.', and a list stands in brackets"),
    ("layer", "{type: affine, W: W}", "as in {affine: {W: W1}}, not a mapping of 2 keys"),
    ("layer", "{affine: {W: W}}, dropout", "; another is written as equations, as in x * mask, with an input mask"),
    ("loss", "nll_loss", "unknown loss 'nll_loss'; did you mean 'cross_entropy'?"),
    ("loss", "hinge", "; another is written as equations, as in mean(maximum(0, 1 - t * y))"),
    ("value", "2**3", "a number is needed here, not '2**3'; a fraction is written out in digits, or is an equation"),
    ("value", "zeros", "a number is needed here, not 'zeros'; values are made as in {init: zeros, shape: [2, 3]}"),
    ("value", "{init: kaiming_uniform, shape: 2}", "known are he, xavier, normal, uniform, zeros, ones, constant"),
    ("value", "{init: uniform, minval: 0, shape: 2}", "unknown key 'minval'; did you mean 'low'?"),
    ("value", "file: w.csv", "stands in quotes, and a mapping in braces"),
    # what they tried next
    ("figure", "dw: {0: 0.1, 1: 0.2}", "a list is needed here, not a mapping from numbers; write [0.5, -1], in order"),
    ("value", "{1, 2}", "a list is needed here, not a mapping from numbers; write [0.5, -1], in order"),
    ("value", "{shape: [2, 2]}", ", as in {init: normal, shape: [2, 3], seed: 0} and {file: w.csv}"),
    ("value", "{csv: w.csv}", ", as in {init: normal, shape: [2, 3], seed: 0} and {file: w.csv}"),
    ("value", "{file: w.xlsx}", "a data file is a .csv, .txt, .npy or .npz file; a sheet is saved as CSV"),
    ("value", "{file: w.pt}", "; numpy.savez('w.npz', ...) writes one"),
    (
        "value",
        "{init: he, shape: (2, 2)}",
        "unknown key '2)'; a decimal point is written '.', and a list stands in brackets",
    ),
    (
        "value",
        "[[1, 2], [0.3, 0,4]]",
        "this row has 3 entries, the first has 2; a decimal point is written '.', as in 0.4",
    ),
    (
        "value",
        "[[0,3, 0,4], [1, 2]]",
        "this row has 2 entries, the first has 4; a decimal point is written '.', as in 0.3",
    ),
    ("value", "c(1, 2)", "'c(1, 2)'; the numbers stand alone, in brackets"),
    ("value", "None", "a number is needed here, not 'None'; what has no value is left out"),
    ("value", "[true, false]", "a number is needed here, not 'false'; in a mask, true is 1 and false is 0"),
    ("value", "0x1F", "a number is needed here, not '0x1F'; write it in decimal digits"),
    ("value", "=SUM(A1:A3)", "; a spreadsheet's formula is written out in digits, or is an equation"),
    ("value", "2 + 3j", "a number is needed here, not '2 + 3j'; all numbers are real"),
    ("value", "1.5.2", "a number is needed here, not '1.5.2'; a number has one decimal point"),
    ("figure", "p: n/a", "a number is needed here, not 'n/a'; what has no value is left out"),
    ("figure", "prob: 0.8", "unknown name 'prob'; there are x, y, w, b, s, p, loss, dx, ..."),
    ("layer", "{affine: 3}", "the W of affine is a parameter, which has a shape, and no number of units or channels"),
    (
        "layer",
        "{conv2d: {k: 32}}",
        "the k of conv2d is a parameter, which has a shape, and no number of units or channels",
    ),
    ("layer", "{affine: [W, b]}", "takes what it needs by name (W, b, x, as), as in {affine: {W: ...}}, not a list"),
    ("layer", "{leaky_relu: slope}", "by name (alpha, x, as), as in {leaky_relu: {alpha: ...}}, not 'slope'"),
    ("layer", "mish", "; another is written as equations, as in x * tanh(softplus(x))"),
    ("layer", "maxout", "; another is written as equations"),
    ("layer", "{softmax: 1}", "softmax takes what it needs by name (x, as), as in {softmax: {x: ...}}, not '1'"),
    ("layer", "{layer_norm: 3}", "by name (gamma, beta, eps, x, as), as in {layer_norm: {gamma: ...}}, not '3'"),
    ("loss", "{mse: mean}", "by name (target, reduction, as), as in {mse: {target: ...}}, not 'mean'"),
    ("training", "epochs: ten", "a number is needed here, not 'ten'; write 10"),
    ("training", "epochs: 1\n  seed: random", "a number is needed here, not 'random', as in 10"),
    ("training", "epochs: 1\n  batch_size: all", "a number is needed here, not 'all', as in 10"),
    ("training", "epochs: 1e3", "a whole number is needed here, not '1e3'; write 1000"),
    ("equation", "x[2]", "index 2 is out of bounds for axis 0 with size 2, which counts from 0 to 1 in 'x[2]'"),
    ("equation", "sigmoid[s]", "unknown name 'sigmoid' in 'loss'; sigmoid is a function, and called as in sigmoid(x)"),
    ("equation", "losss + s", "unknown name 'losss' in 'loss'; did you mean 'loss'?"),
    ("equation", "torch.tensor([1, 2])", "is not in the equation language; write the value itself"),
    ("equation", "s\n  w-1: s", "beginning with a letter; write w_1"),
    ("equation", "s\n  1w: s", "beginning with a letter; write w1"),
    ("equation", "s\n  w': s", "beginning with a letter; write w_prime"),
    ("equation", "s\n  \\theta: s", "beginning with a letter; write theta, without LaTeX's signs"),
    ("equation", "s\n  f(x): s", "beginning with a letter; write f alone: an equation says what it reads"),
    (
        "equation",
        "s\n  w[0]: s",
        "beginning with a letter; w is given whole, as in w: [0.5, -1], and the step of a loop is called w0",
    ),
    ("equation", "s\n  w_{1}: s", "beginning with a letter; write w_1"),
    ("equation", "s\n  learning rate: s", "beginning with a letter; write learning_rate"),
    ("equation", "s\n  lambda: s", "is a word of Python and cannot be a name; write lambda_"),
    ("formula", "dw: {eq: ds * x}", "unknown key 'eq'; did you mean 'formula'?"),
    (
        "config",
        "x: [1, 2]\nz: x * 2\n",
        "unknown key 'x'; a value stands below 'inputs' or 'parameters', a figure below 'expected'",
    ),
    ("config", "x: 1\nseed: 0\n", "unknown key 'seed'; it stands below 'train', or below 'sweep'"),
    ("config", "x: [1, 2]\nz: x * 2\n", "unknown key 'z'; an equation stands below 'equations'"),
    (
        "config",
        "import numpy as np\n",
        "a config is a mapping of keys, as in 'parameters: {w: 0.5}', "
        "not 'import numpy as np'; mathlab init writes one",
    ),
    ("config", "[parameters]\nw = 1\n", "; a key is written 'name: value', and not 'w = 1'"),
    ("config", "parameters: {w: 1}\n% data\n", "; a comment begins with '#', not with '%'"),
    ("config", "parameters: {w: 1}\n// data\nequations: {y: w}\n", "; a comment begins with '#', not with '//'"),
    ("config", "parameters: {w: 1 # one}\nequations: {y: w}\n", "; what '{' opens on line 1 is not closed"),
    ("value", "1d-3", "a number is needed here, not '1d-3'; a power of ten is written as in 3.9e-2"),
    ("value", "--1", "a number is needed here, not '--1'; one sign stands before a number: write 1"),
    ("value", "O.5", "a number is needed here, not 'O.5'; write 0.5, with the digit 0"),
    ("value", "2k", "a number is needed here, not '2k'; write it out in digits"),
    ("value", "1:3", "a number is needed here, not '1:3'; a range would be written out, as in [1, 2, 3]"),
    ("value", "He", "; values are drawn as in {init: normal, shape: [2, 3], seed: 0}"),
    ("value", "glorot_uniform()", "; values are drawn as in {init: normal, shape: [2, 3], seed: 0}"),
    ("value", "[1,,2]", "; between two commas a value is missing"),
    ("value", "[[1 2] [3 4]]", "; rows of a list are divided by commas, as in [[1, 2], [3, 4]]"),
    ("equation", "- s", "; an expression, or a text, of this kind stands in quotes"),
    ("equation", '"s + 1', "; the quotes that line 6 opens are not closed"),
    ("formula", "dz[t]: 1", "; steps stand below a loop, as in 'for t in 1..3:'"),
    ("formula", "for t in 1..3:\n    dz: dh[t]", "this loop is named by its step, as in dh[t], not 'dz'"),
    ("equation", "s\n  h[t]: h[t-1]", "beginning with a letter; steps stand below a loop, as in 'for t in 1..3:'"),
    ("config", "inputs: {x: 1}\ntrain: sgd\n", ", as in {epochs: 1, optimizer: {name: sgd, lr: 0.1}}"),
    ("config", "inputs: {x: 1}\nsweep: lr\n", ", as in {grid: {lr: [0.1, 0.2]}}"),
    (
        "config",
        "inputs: {x: 1}\nsweep: {lr: [0.1, 0.2]}\n",
        "unknown key 'lr'; it stands in 'grid', as in {lr: [0.1, 0.2]}",
    ),
    ("config", "inputs: {x: 1}\nloss: (y - 1)**2\n", "'loss' needs 'layers'; a loss of one's own is an equation"),
    ("config", "inputs: {x: 1}, equations: {y: x}\n", "; behind a bracket that is closed, a new line begins"),
    ("config", "inputs: {x: 1}\nexpected\n  x: 1\n", "; a key is written 'name: value', and not 'expected'"),
    ("config", "equations:\n  y = 2\n  z: y\n", "; a key is written 'name: value', and not 'y = 2'"),
    ("config", "inputs: {x: 1}\npictures: {graph: true}\n", "it stands alone, as in pictures: [graph]"),
    # of a reader, an author and an engineer who had only the README
    ("equation", "gather(p, 0, y)", "unknown function 'gather'; write p[arange(shape(p)[0]), t]"),
    ("equation", "sum(x(:))", "not an expression: entries are written x[:, 0], in brackets"),
    ("equation", "size(x, 1)", "size takes at most 1 argument (x), not 2; the length of an axis is shape(x)[0]"),
    ("equation", "log(p, 2)", "log takes at most 1 argument (x), not 2; to another base it is log(x) / log(b)"),
    ("equation", "round(p, 2)", "round takes at most 1 argument (x), not 2; to two places it is round(100 * x) / 100"),
    ("equation", "x(0, 1)", "unknown function 'x'; an entry is written x[0, 1]"),
    ("equation", "repmat(b, 2, 1)", "unknown function 'repmat'; write ones(n, 1) * x"),
    (
        "equation",
        "mean(x, 1)",
        "axis 1 does not exist in shape (2,), whose axes are counted from 0 in 'mean(x, axis=1)'",
    ),
    ("equation", "f'{s}'", "is not in the equation language; an expression stands alone, without f'...'"),
    ("equation", "(q := s)", "'q := s' is not in the equation language; what has a name is an equation of its own"),
    ("equation", "sum(x) // the loss", "not an expression: a comment begins with '#'"),
    (
        "equation",
        "{s}",
        "an expression is needed here, not a mapping; neither braces nor what is indented is part of one",
    ),
    ("equation", "'{s}'", "'{s}' is not in the equation language; no braces are part of an expression"),
    ("equation", "self.s", "'.s' is not in the equation language; write s"),
    ("equation", "int(s)", "unknown function 'int'; write sign(x) * floor(abs(x))"),
    ("equation", "sigm(s)", "unknown function 'sigm'; write sigmoid(x)"),
    ("equation", "softpl(s)", "unknown function 'softpl'; did you mean 'softplus'?"),
    ("equation", "sum_{i} x_i", "not an expression: a sum is written sum(x), and along an axis sum(x, axis=0)"),
    (
        "equation",
        "max(x, 0)",
        "max takes at most 1 argument (x), not 2; of two values it is maximum(a, b), and along an axis max(x, axis=0)",
    ),
    ("equation", "IF(s > 0, s, 0)", "unknown function 'IF'; write where(c, a, b)"),
    ("equation", "SUMPRODUCT(w, x)", "unknown function 'SUMPRODUCT'; write sum(a * b)"),
    ("equation", "return s", "not an expression: write the expression alone"),
    ("equation", "s!", "not an expression: a factorial is written out in digits"),
    ("equation", "s <- w @ x", "'<-' is not part of an expression; write the expression alone"),
    ("equation", "rand(2)", "unknown function 'rand'; write an input, whose numbers a config can draw"),
    ("equation", "w @@ x", "not an expression: a product of matrices is written '@'"),
    ("equation", "w +", "not an expression: something is missing behind the last sign"),
    ("equation", "lse(x)", "unknown function 'lse'; write logsumexp(x)"),
    ("equation", "xlogy(p, p)", "unknown function 'xlogy'; write x * log(y)"),
    ("equation", "half_sse(p, y)", "unknown function 'half_sse'; write 0.5 * sum((y - t)**2)"),
    ("equation", "one_hot(y, num_classes=2)", "one_hot has no argument 'num_classes'; did you mean 'n'?"),
    (
        "equation",
        "cross_entropy(1, [x, x])",
        "cross_entropy needs logits with an axis of classes, not a single number in 'cross_entropy(1, [x, x])'",
    ),
    ("equation", "cross_entropy([0, 1], [x, x])", "; the logits stand first in 'cross_entropy([0, 1], [x, x])'"),
    ("equation", "s\n  q:w @ x\n  r: q", "; behind ':' stands a blank, as in q: w @ x"),
    ("equation", "w @ x\n  + b\n  q: s", "; what goes on from the line above is indented further than that"),
    ("equation", "w @ x\n  @ b\n  q: s", "; what goes on from the line above is indented further than that"),
    ("equation", "x[: , 0] + b", "; an expression, or a text, of this kind stands in quotes"),
    (
        "equation",
        "s\n  expected:\n    p: 0.8",
        "'expected' is a section of its own, and no part of the one that it is indented under",
    ),
    ("figure", "grad w: 0.5", "not an expression: the gradient of w is written dw"),
    ("figure", "loss: **0.5**", "did not find expected alphabetic or numeric character; write 0.5 alone"),
    ("figure", "loss: 0.5\N{NO-BREAK SPACE}", "a number is needed here, not '0.5\\xa0'; write 0.5 alone"),
    ("layer", "{affine: 'W, b'}", "by name (W, b, x, as), as in {affine: {W: ...}}, not 'W, b'"),
    ("value", "0.1\n    -0.2", "not '0.1 -0.2'; a list is written [1, 2], in brackets and with commas"),
    ("config", "parameters: {w: 1}\nequations:\n  - y = w\n  z: w\n", "; of a list, each line begins with '-'"),
    ("config", "equations:\n  for t in 1..3\n    h[t]: x[t]\n", "; behind a loop's last number stands ':'"),
    (
        "config",
        "equations:\n  for t in 1..3:\n    z[t]: x[t]\n    h[t] = z[t]\n  loss: (h[3] - y)**2\n",
        "; a key is written 'name: value', and not 'h[t] = z[t]'",
    ),
    ("config", "parameters: {w: 1}\nequations:\ny: w\n  z: w\n", "; this line is indented by 2, the one above it by 0"),
    ("config", "parameters: {w: 1}\nequations: {y: w}\nlr: 0.1\n", "; it stands below 'train', in its 'optimizer'"),
    (
        "config",
        "parameters: {w: 1}\nequations: {y: w}\ncases: {a: {lr: 3}}\n",
        "; it stands below 'train', in its 'optimizer'",
    ),
    ("config", "parameters: {w: 1}\nequations: {y: w}\ncases: {a: {beta1: 3}}\n", "'train', in its 'optimizer'"),
    ("config", "parameters: {w: 1}\nequations: {y: w}\ncases: {a: {epochs: 3}}\n", "'epochs'; it stands below 'train'"),
    (
        "config",
        "parameters: {w: 1}\nequations: {y: w}\npictures: [{heat: w}]\n",
        "is named, as in heat: {of: W}, or loss: {log: y}",
    ),
    (
        "config",
        "parameters: {w: 1}\nequations: {y: w}\npictures: {heat: [w]}\n",
        "is named, as in heat: {of: W}, or loss: {log: y}",
    ),
    ("equation", "einsum('i,i', w, x)", "must be a text with '->', as in einsum('ij,jk->ik', a, b), not 'i,i'"),
    (
        "equation",
        "gelu(s, approximate='tanh')",
        "; with tanh it is 0.5 * x * (1 + tanh(sqrt(2 / pi) * (x + 0.044715 * x**3)))",
    ),
    (
        "equation",
        "norm(w, ord='fro')",
        "norm has no argument 'ord'; it is the root of the sum of squares, and along an axis norm(x, axis=0)",
    ),
    ("equation", "log(s, base=2)", "log has no argument 'base'; to another base it is log(x) / log(b)"),
    ("equation", "leaky_relu(s, alpha='a')", "leaky_relu needs its argument 'alpha' as an expression, not as 'a'"),
    ("equation", "sum(w, keepdims='True')", "keepdims of sum must be True or False, not 'True'"),
    ("equation", "s\n  for t in 1..3:\n    h[t] = tanh((s + 1) * t)", "; write h[t]: tanh((s + 1) * t)"),
    ("equation", "s\n  for t in 1..3:\n    h[1, t] = s\n    g[t] = s", "; write h[1, t]: s"),
    ("equation", "s\n  for t in 1..3: h[t] = s", "; write h[t]: s"),
    ("equation", "s\n  for t in 1..3:\n    h[t] <- tanh(s * (t + abs(s)))", "; write h[t]: tanh(s * (t + abs(s)))"),
    ("equation", "s\n  for t in 1..3:\n    h[t] := s", "; write h[t]: s"),
    ("equation", "s\n  for t in 1..3:\n    - h[t]: s", "; write 'name: value', without '-' and brackets"),
    ("config", "```yaml\nparameters: {w: 1}\n```\n", "; a config stands without the ``` of Markdown"),
    (
        "config",
        "parameters: {w: 1}\nequations:\n  y: w\n\N{NO-BREAK SPACE} z: w\nexpected: {z: 1}\n",
        "the blank U+00A0 stands here, and YAML takes plain ones alone",
    ),
    (
        "config",
        "inputs: {X: 1}\nequations: {y: 2 * X}\nexpected: {y: 2}\ncases: {second: {inputs: {x: 2}}}\n",
        "nothing reads 'x'; did you mean 'X'?",
    ),
    (
        "config",
        "inputs: {t: [0]}\nparameters: {z: [[1, 2]]}\nequations:\n  l: sum(cross_entropy(z, t))\nexpected: {dt: 0}\n",
        "'t' holds class indices, and so has no gradient",
    ),
    # keys beside their section, words of YAML and of Python, and what no key is
    ("config", "x: 1\neps: 1e-5\n", "; it stands below 'gradcheck', as 'step', or below 'train', in its 'optimizer'"),
    ("config", "x: 1\nn_epochs: 3\n", "unknown key 'n_epochs'; it stands below 'train', as 'epochs'"),
    ("config", "x: 1\nsecond one: {inputs: {x: 2}}\n", "unknown key 'second one'; a case stands below 'cases'"),
    ("config", "cases:\n  a: null\n  inputs: {x: 1}\n", "'inputs' is to be indented below case 'a'"),
    ("config", "x: 1\ntrain: true\n", "not 'true', as in {epochs: 1, optimizer: {name: sgd, lr: 0.1}}"),
    ("equation", "[s, s][0]", "; an expression, or a text, of this kind stands in quotes"),
    ("equation", "s\n  q == s\n  r: s", "; a key is written 'name: value', and not 'q == s'"),
    ("equation", "s\n  q := s\n  r: s", "; a key is written 'name: value', and not 'q := s'"),
    ("equation", "s\n  q += 1\n  r: s", "; a key is written 'name: value', and not 'q += 1'"),
    ("equation", "s\n  q:\N{NO-BREAK SPACE}s\n  r: s", "the blank U+00A0 stands here, and YAML takes plain ones alone"),
    ("equation", "s\n  while t < 3:\n    q: s", "a loop is written 'for t in 1..T:', with its equations below it"),
    ("equation", "s * / 2", "not an expression: between two operators something is missing"),
    ("equation", "s % the logistic function", "not an expression: a comment begins with '#'"),
    ("equation", "sum(w[w > 0])", "and 'w > 0' is computed; what a mask picks is written x * (x > 0)"),
    ("equation", "s\n  W^{[1]}: s", "; write W_1"),
    ("value", "1j", "a number is needed here, not '1j'; all numbers are real"),
    ("figure", "dw: \\begin{pmatrix} 1 \\end{pmatrix}", "; a list is written [1, 2], in brackets and with commas"),
    (
        "config",
        "x: 1\ncases:\n  a: {inputs: {x: 1}}\n  expected: {p: 0.8}\n",
        "'expected' is to be indented below case 'a'",
    ),
    (
        "config",
        "x: 1\ncases: {a: {p: 0.8}}\n",
        "a value stands below 'inputs' or 'parameters', a figure below 'expected'",
    ),
    ("config", "x: 1\nexpected:\n  p, 0.8\n  s, 1.4\n", "not 'p, 0.8 s, 1.4', as in {y: 0.50}"),
    ("config", "x: 1\nexpected:\n  p → 0.8\n", "; write p: 0.8"),
    ("config", "inputs: {x: 1}\nequations: {y: x}\nsweep: {grid: {inputs.x: [1]}}\n", "'inputs.x'; did you mean 'x'?"),
    ("figure", "dw: tensor([0.1, 0.2])", "; the numbers stand alone, in brackets"),
    ("figure", "s, loss: [0.1, 0.2]", "several have a line each, and a list stands in brackets"),
    ("figure", "loss: {printed: 0.80, rounding: half_up}", "unknown rounding 'half_up'; did you mean 'nearest'?"),
    ("equation", "s\n  For t in 1..3:\n    q: s", "a loop is written 'for t in 1..T:', with its equations below it"),
    ("loss", "{name: mse, target: y}", "its arguments, as in {mse: {target: t}}, not a mapping of 2 keys"),
    ("equation", "s > 0 or s < -1", "; either of two masks is the larger, as in maximum(a > 0, b > 0)"),
    ("equation", "(s > 0) | (s < -1)", "either of two masks is the larger, as in maximum(a > 0, b > 0)"),
    ("equation", "(s > 0) || (s < -1)", "either of two masks is the larger, as in maximum(a > 0, b > 0)"),
    ("equation", "'!(s > 0)'", "not an expression: what is not so is written (x == 0)"),
    ("equation", "⌊s⌋", "not an expression: what is rounded down is written floor(x)"),
    ("equation", "'`s`'", "not an expression: an expression stands without the ` of Markdown"),
    ("equation", "sum(w[i] * x[i])", "unknown name 'i' in 'loss'; what it stands for is given in inputs or parameters"),
    # what comes next to their minds
    ("equation", "x.size(0)", "is not in the equation language; write size(x), or shape(x)[0]"),
    ("equation", "exp{s}", "not an expression: a function is called as in tanh(x)"),
    ("equation", "tanh^2(s)", "a power of a function is written tanh(x)**2"),
    ("equation", "x^{T}", "'^' is not in the equation language; a transpose is written x.T"),
    ("equation", "s & p", "of two masks the product is taken, as in (a > 0) * (b > 0)"),
    ("equation", "s === p", "not an expression: comparisons are written '>=', '<=', '==' and '!='"),
    ("equation", "s mod 2", "not an expression: a remainder is written a % b"),
    ("equation", "1'000 * s", "not an expression: digits stand without separators"),
    ("equation", "e(s)", "unknown function 'e'; write exp(x)"),
    ("equation", "lns", "unknown name 'lns' in 'loss'; a function is called as in log(s)"),
    ("equation", "logit(p)", "unknown function 'logit'; write log(p / (1 - p))"),
    ("equation", "L2(w)", "unknown function 'L2'; write sum(x**2)"),
    ("equation", "grad(loss, s)", "unknown function 'grad'; the gradient of s is written ds"),
    ("config", "parameters: {x: 1}\nequations: {y: 2 * x}\noutput: {y: 2}\n", "; did you mean 'expected'?"),
    ("value", "0.1 // bias", "a number is needed here, not '0.1 // bias'; a comment begins with '#'"),
    ("value", "2 * [1, 2]", "not '2 * [1, 2]'; a formula is written out in digits, or is an equation"),
    ("value", "[2, -1].T", "; behind a bracket that is closed, a new line begins"),
    ("figure", "loss: ca. 0.5", "; write 0.5 alone, whose digits say how precise it is"),
    ("figure", "loss: 0.50(3)", "; write 0.50 alone, whose digits say how precise it is"),
    ("figure", "d_loss_d_w: [0.1, 0.2]", "unknown name 'd_loss_d_w'; the gradient of 'w' is 'dw'"),
    ("equation", "b[0]", "shape () cannot be indexed so: it has 0 axes, and 1 of them are indexed in 'b[0]'"),
    # functions of other languages, and their derivatives
    ("equation", "-log(p_y)", "unknown name 'p_y' in 'loss'; an entry is written p[y]"),
    ("equation", "normalize(x)", "; write x / norm(x), or (x - mean(x)) / std(x)"),
    ("formula", "dw: {formula: outer(ds, x)}", "unknown key 'x)'; in quotes, if YAML's brackets cut it off at a comma"),
    ("equation", "tanh_prime(s)", "unknown function 'tanh_prime'; the derivative of y = tanh(x) is written (1 - y**2)"),
    ("equation", "drelu(s)", "unknown function 'drelu'; the derivative of y = relu(x) is written (x > 0)"),
    ("equation", "log_grad(s)", "; the derivative of y = log(x) is written 1 / x"),
    ("equation", "sigmoid_prime(s)", "; the derivative of y = sigmoid(x) is written y * (1 - y)"),
    ("equation", "BCELoss()(p, y)", "; write -mean(t * log(y) + (1 - t) * log(1 - y))"),
    ("equation", "ReLU()(s)", "'ReLU()(s)' is not in the equation language; write relu(...), with nothing before it"),
    ("equation", "vmap(relu)(s)", "is not in the equation language, and nothing here is called 'vmap'"),
    ("equation", "F.linear(x, w, b)", "; write x @ W.T + b"),
    ("equation", "F.nll_loss(s, y)", "; write -log(p[t])"),
    ("equation", "nll_loss(s, y)", "; write -log(p[t])"),
    ("equation", "vstack(x, x)", "; write stack(a, b) of vectors, or concat(a, b, axis=0) of matrices"),
    ("equation", "w @ np.array([1, 2])", "; write [a, b], in brackets"),
    ("equation", "plogis(s)", "unknown function 'plogis'; write sigmoid(x)"),
    ("equation", "t(w) @ x", "unknown function 't'; write x.T"),
    ("equation", "s |> relu", "not an expression: a function is called as in tanh(x)"),
    ("equation", "w * 0,05", "not an expression: a decimal point is written '.'"),
    ("equation", "s * 0,5", "a decimal point is written '.', and a list stands in brackets"),
    ("equation", "w(y)", "unknown function 'w'; a product is written w * (y), an entry w[y]"),
    ("value", "[1, 2];", "; behind a bracket that is closed, a new line begins"),
    ("value", "[1, 2] + 1", "; behind a bracket that is closed, a new line begins"),
    ("config", "parameters:\n  w: 1\n  v <- 2\n  u: 3\n", "; a key is written 'name: value', and not 'v <- 2'"),
    ("figure", "dloss/dw[0]: 0.1", "'dloss/dw' divides one gradient by another; the gradient of 'w' is 'dw'"),
    ("formula", "dw: dloss/ds * x", "'dloss/ds' divides one gradient by another; the gradient of 's' is 'ds'"),
    ("equation", "s\n  for t in 1..3: h[t]: s", "; what a loop repeats stands below it, and indented"),
]


def prepared(config: Path) -> None:
    for case in load(config).cases:
        prepare(case)


NEVER = [  # what would mislead
    ("value", "[[1, 2],\n    [3, 4]] foo", "nothing opened"),
    ("value", "[[1, 2],\n    [3, 4] foo]", "is not closed"),
    ("equation", "exp(-s", "inside braces"),
    ("figure", "dw: [1, 2, 3, 4]", "decimal point"),
    ("figure", "dw: [0.5, 1, 0.5, 2]", "decimal point"),
    ("figure", "dw: [0,1,0,2]", "decimal point"),  # which may be four numbers
    ("value", "[[1,2,3], [4, 5]]", "decimal point"),
    ("config", "metrics: accuracy\n", "stands below"),
    ("value", "٣", "write"),
    ("config", "parameters: {3.5: 1}\n", "write"),
    ("equation", "sum(w, dims=1)", "keepdims"),
    ("equation", "np.foo(s)", "write foo"),
    ("equation", "cumprod(x)", "did you mean"),
    ("equation", "det(x)", "did you mean"),
    *(("equation", f"{word}(x)", "did you mean") for word in "scale take crossprod addmm rearrange sumsq set".split()),
    ("value", "{init: glorot_normal, shape: 2}", "did you mean"),
    ("optimizer", "{name: sgd, lr: 0.1, decay: 0.9}", "did you mean"),
]


@pytest.mark.parametrize(("form", "written", "hint"), NEVER, ids=lambda text: text[:30])
def test_no_hint_misleads(form: str, written: str, hint: str, tmp_path: Path) -> None:
    config = tmp_path / "c.yaml"
    config.write_text(FORMS[form].replace("%", written), encoding="utf-8")
    with pytest.raises(MathlabError) as caught:
        run(config, "backprop")
    assert hint not in str(caught.value)


def test_decimal_commas_in_a_list_are_seen_by_how_many_numbers_there_are(tmp_path: Path) -> None:
    config = tmp_path / "c.yaml"
    config.write_text(FORMS["equation"].replace("%", "(y - p)**2") + "expected: {dw: [0,1, -0,2]}\n", encoding="utf-8")
    with pytest.raises(MathlabError, match=r"computed with shape \(2,\); a decimal point is written '.', as in 0.1$"):
        run(config)


@pytest.mark.parametrize("given", [{"train.lr": -1}, {"lr": -0.5}, {"beta1": 1}])
def test_a_learning_rate_below_zero_is_refused_wherever_it_comes_from(tmp_path: Path, given: dict[str, float]) -> None:
    config = tmp_path / "c.yaml"
    config.write_text(FORMS["optimizer"].replace("%", "{name: adam}"), encoding="utf-8")
    with pytest.raises(
        MathlabError, match=r"(the learning rate is -.*; it is to be 0 or more|beta1 is 1; .* less than 1)$"
    ):
        changed(load(config), given)


@pytest.mark.parametrize(
    ("word", "known"), [("ŷ", "y_hat"), ("y_hat", "ŷ"), ("θ", "theta"), ("alpha1", "α1"), ("z̃", "ztilde")]
)
def test_letters_are_told_by_their_names_too(word: str, known: str) -> None:
    assert did_you_mean(word, ["q", known]) == f"; did you mean {known!r}?"


def test_a_transpose_without_axes_is_that_of_a_matrix() -> None:
    assert read("transpose(W) @ x") == read("W.T @ x")


@pytest.mark.parametrize(("form", "written", "sentence"), MISTAKES, ids=lambda text: text[:30])
def test_the_sentence_mends_it(form: str, written: str, sentence: str, tmp_path: Path) -> None:
    config = tmp_path / "c.yaml"
    config.write_text(FORMS[form].replace("%", written), encoding="utf-8")
    with pytest.raises(MathlabError) as caught:
        prepared(config)
    told = [problem.message for problem in caught.value.problems]
    assert [message for message in told if message.endswith(sentence)], told


RECORDS = [one for room in (arrays, schema, change) for one in vars(room).values() if isinstance(one, Keys)]
PLACE = Place("c.yaml", 1, 1)


def _reads_one_number(reader: Callable[[Tree], object]) -> bool:
    try:
        return type(reader(Scalar("1", PLACE))) in (int, float)
    except MathlabError:
        return False


@pytest.mark.parametrize("written", ["ten", "random", "auto", "zeros", "true", "(1, 2)", "w.csv", "[1, 2]", "0:3", "?"])
def test_what_is_to_be_one_number_is_told_as_one(written: str) -> None:
    readers = [reader for record in RECORDS for reader in record.readers.values() if _reads_one_number(reader)]
    assert len(readers) > 15
    for reader in readers:
        with pytest.raises(MathlabError) as caught:
            reader(Scalar(written, PLACE))
        (problem,) = caught.value.problems
        told = re.fullmatch(r"a number is needed here, not '.*'(?:, as in |; write )(\S+)", problem.message)
        assert told, caught.value
        reader(Scalar(told[1], PLACE))


NEAR = [
    ("no.csv", "rows.csv", False),
    ("a.csv", "b_c.csv", False),
    ("rwos.csv", "rows.csv", True),
    ("train.foo", "train.lr", False),
    ("train.epocs", "train.epochs", True),
    ("w.size", "w.seed", False),
    ("central_foo", "central_w", False),
    ("weight_init", "weight_decay", False),
    ("wieght_decay", "weight_decay", True),
    ("lous", "loss", True),
]


@pytest.mark.parametrize(("word", "known", "close"), NEAR)
def test_what_names_share_makes_them_no_nearer(word: str, known: str, close: bool) -> None:
    assert did_you_mean(word, [known]) == (f"; did you mean {known!r}?" if close else "")


KNOWN = {
    *OPS,
    *(name for op in OPS.values() for name in (*op.args, *op.settings)),
    *(word for name, layer in LAYERS.items() for word in (name, *layer.keys)),
    *(word for name, loss in LOSSES.items() for word in (name, *loss.keys)),
    *(word for name, settings in SETTINGS.items() for word in (name, *settings)),
    *(key for record in [schema.top_keys(), *RECORDS] for key in record.readers),
    *INITS,
    *(*DTYPES, *schema.ROUNDINGS, *DRAWN, *PLOTTED),
}


@pytest.mark.parametrize("here", [*habits.FUNCTIONS, *habits.HERE])
def test_what_is_said_to_be_here_is(here: str) -> None:
    if here.isidentifier():
        assert here in KNOWN
    elif (
        re.search(r"[(\[*+@/-].*[)\]\w]", here)
        and "<" not in here
        and ", or " not in here
        and "," not in here.split(")")[-1]
    ):
        ast.parse(here, mode="eval")
        read(here)


def test_what_is_said_to_be_nowhere_is() -> None:
    assert not {*OPS, *LAYERS, *LOSSES, *SETTINGS} & habits.NOWHERE


@pytest.mark.parametrize("form", ["{}(x)", "np.{}(x)", "x.{}()", "x.{}(0)"])
def test_no_hint_names_a_function_that_is_none(form: str) -> None:
    words = {word for word in [*habits.ELSEWHERE, *OPS] if word.isidentifier() and not keyword.iskeyword(word)}
    for word in words - ({*OPS} if form == "{}(x)" else {"T", "t", "transpose"}):
        with pytest.raises(ExpressionError) as caught:
            read(form.format(word))
        for name in re.findall(r"write (\w+)\((?:\.\.\.|x)", caught.value.message):
            assert name in OPS or name == word, caught.value.message
            assert name == word or word not in OPS or word in habits.CALLED, caught.value.message
