"""The `layers:` shorthand: what it expands to, that every row of its tables runs, and what it refuses."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from mathlab.config import load
from mathlab.errors import MathlabError
from mathlab.experiment import Case
from mathlab.language.layers import LAYERS, LOSSES
from mathlab.stages import gradcheck, train
from mathlab.stages.derivation import derivation
from mathlab.stages.prepare import prepare

NET = """\
inputs: {{{inputs}}}
parameters:
  W1: [[0.3, 0.4], [-0.5, -0.2], [0.1, 0.7]]
  b1: {b1}
  W2: [[0.4, 0.1, -0.3], [-0.3, 0.2, 0.6]]
  b2: [-0.1, 0.1]
layers:
  - affine: {{W: W1, b: b1}}
  - {activation}
  - affine: {{W: W2, b: b2}}
{rest}
"""
BY_ROWS = NET.replace("{{W: W1, b: b1}}", "{{W: W1.T, b: b1}}").replace("{{W: W2, b: b2}}", "{{W: W2.T, b: b2}}")


def only_case(folder: Path, text: str) -> Case:
    path = folder / "net.yaml"
    path.write_text(text, encoding="utf-8")
    (case,) = load(path).cases
    return case


def net(
    folder: Path, inputs: str, *rest: str, activation: str = "relu", by_rows: bool = False, b1: str = "[0, 0.1, 0.2]"
) -> Case:
    template = BY_ROWS if by_rows else NET
    return only_case(folder, template.format(inputs=inputs, activation=activation, rest="\n".join(rest), b1=b1))


def equations(case: Case) -> list[str]:
    return [f"{equation.name} = {equation.text}" for equation in case.equations]


@pytest.mark.parametrize("layer", ["leaky_relu: {alpha: %}", "elu: {alpha: %}", "huber: {delta: %}"])
def test_the_only_number_that_a_layer_takes_stands_alone(layer: str, tmp_path: Path) -> None:
    long, short = layer.replace("%", "0.5"), f"{layer.partition(':')[0]}: 0.5"
    assert equations(net(tmp_path, "x: [1, 2]", activation=long)) == equations(
        net(tmp_path, "x: [1, 2]", activation=short)
    )


HIDDEN = ["z1 = W1 @ x + b1", "a1 = relu(z1)", "z2 = W2 @ a1 + b2"]
ROWS = ["z1 = X @ W1.T + b1", "a1 = relu(z1)", "z2 = a1 @ W2.T + b2"]
COLUMNS = ["z1 = W1 @ X + b1[:, None]", "a1 = relu(z1)", "z2 = W2 @ a1 + b2[:, None]"]
X_ROWS, X_COLUMNS = "X: [[1, 2], [3, 4], [5, 6]]", "X: [[1, 3, 5], [2, 4, 6]]"
T_ROWS, T_COLUMNS = "T: [[0, 1], [1, 0], [0, 1]]", "T: [[0, 1, 0], [1, 0, 1]]"
SOFTMAX = ("  - softmax", "loss: cross_entropy")

# inputs, the rest of the config, the equations of the hidden layers, and those after them
EXPANSIONS: list[tuple[str, tuple[str, ...], list[str], list[str]]] = [
    ("x: [1, 2], target: 1", SOFTMAX, HIDDEN, ["p = softmax(z2)", "loss = -log(p[target])"]),
    ("x: [1, 2], t: [0, 1]", SOFTMAX, HIDDEN, ["p = softmax(z2)", "loss = -sum(t * log(p))"]),
    ("x: [1, 2], y: 1", ("loss: cross_entropy",), HIDDEN, ["loss = cross_entropy(z2, y)"]),
    ("x: [1, 2], y: [0, 1]", ("loss: cross_entropy",), HIDDEN, ["loss = cross_entropy(z2, y)"]),
    (f"{X_ROWS}, y: [1, 0, 1]", SOFTMAX, ROWS, ["p = softmax(z2)", "loss = mean(cross_entropy(z2, y))"]),
    (f"{X_ROWS}, {T_ROWS}", SOFTMAX, ROWS, ["p = softmax(z2)", "loss = -mean(sum(T * log(p), axis=1))"]),
    (
        f"{X_ROWS}, {T_ROWS}",
        ("  - softmax", "loss: {cross_entropy: {reduction: sum}}"),
        ROWS,
        ["p = softmax(z2)", "loss = -sum(T * log(p))"],
    ),
    (
        f"{X_COLUMNS}, y: [1, 0, 1]",
        (*SOFTMAX, "batch: columns"),
        COLUMNS,
        ["p = softmax(z2, axis=0)", "loss = mean(cross_entropy(z2.T, y))"],
    ),
    (
        f"{X_COLUMNS}, {T_COLUMNS}",
        (*SOFTMAX, "batch: columns"),
        COLUMNS,
        ["p = softmax(z2, axis=0)", "loss = -mean(sum(T * log(p), axis=0))"],
    ),
    (
        f"{X_COLUMNS}, {T_COLUMNS}",
        ("loss: cross_entropy", "batch: columns"),
        COLUMNS,
        ["loss = mean(cross_entropy(z2.T, T.T))"],
    ),
    (
        "X: [[1], [2]], y: 1",
        (*SOFTMAX, "batch: columns"),
        COLUMNS,
        ["p = softmax(z2, axis=0)", "loss = -log(p[y, 0])"],
    ),
    ("X: [[1, 2]], y: 1", SOFTMAX, ROWS, ["p = softmax(z2)", "loss = -log(p[0, y])"]),
    ("X: [[1, 2]], y: 1", ("loss: cross_entropy",), ROWS, ["loss = cross_entropy(z2[0], y)"]),
    ("x: [1, 2], y: [3, 4]", ("loss: half_sse",), HIDDEN, ["loss = sum((z2 - y)**2) / 2"]),
    (f"{X_ROWS}, {T_ROWS}", ("loss: half_sse",), ROWS, ["loss = sum((z2 - T)**2) / 2"]),
    (
        f"{X_ROWS}, {T_ROWS}",
        ("loss: {half_sse: {reduction: mean}}",),
        ROWS,
        ["loss = mean(sum((z2 - T)**2, axis=1)) / 2"],
    ),
    (
        f"{X_COLUMNS}, {T_COLUMNS}",
        ("loss: {sse: {reduction: mean, as: E}}", "batch: columns"),
        COLUMNS,
        ["E = mean(sum((z2 - T)**2, axis=0))"],
    ),
    (f"{X_ROWS}, {T_ROWS}", ("loss: mse",), ROWS, ["loss = mean((z2 - T)**2)"]),
    (
        f"{X_ROWS}, {T_ROWS}",
        ("  - sigmoid: {as: p}", "loss: bce"),
        ROWS,
        ["p = sigmoid(z2)", "loss = -mean(T * log(p) + (1 - T) * log(1 - p))"],
    ),
    (f"{X_ROWS}, {T_ROWS}", ("loss: {bce: {reduction: sum}}",), ROWS, ["loss = sum(softplus(z2) - T * z2)"]),
    (
        "x: [1, 2], y: 1, z: [0, 1]",
        ("  - softmax", "loss: {cross_entropy: {target: z}}", "equations: {right: argmax(p) == y}"),
        HIDDEN,
        ["p = softmax(z2)", "right = argmax(p) == y", "loss = -sum(z * log(p))"],
    ),
    (
        f"{X_ROWS}, y: 2",
        ("equations: {E: sum(z2) * y}",),
        ROWS,
        ["E = sum(z2) * y"],
    ),
]


@pytest.mark.parametrize(("inputs", "rest", "hidden", "end"), EXPANSIONS)
def test_what_it_expands_to(
    inputs: str, rest: tuple[str, ...], hidden: list[str], end: list[str], tmp_path: Path
) -> None:
    case = net(tmp_path, inputs, *rest, by_rows=hidden is ROWS)
    assert equations(case) == hidden + end
    assert derivation(case, "text").startswith("\n".join(hidden + end))
    checked = gradcheck.run(case).entries
    assert checked
    assert all(entry.passed for entry in checked)


# one sample, a batch of rows, a batch of columns
CONVENTIONS = {
    "vector": ("x: [1, 2]", "y: [0.2, 0.8]"),
    "rows": (X_ROWS, T_ROWS),
    "columns": (X_COLUMNS, T_COLUMNS),
}


@pytest.mark.parametrize("convention", CONVENTIONS)
@pytest.mark.parametrize(
    "layer",
    # those of images, and batch_norm, in which biases cancel, are held to PyTorch's below
    [
        name
        for name in LAYERS
        if name not in "log log2 log10 sqrt log1p batch_norm".split() and "image" not in LAYERS[name].facts
    ],
)
@pytest.mark.one_in(3)
def test_every_layer_has_the_gradient_that_its_witnesses_have(layer: str, convention: str, tmp_path: Path) -> None:
    inputs = ", ".join(CONVENTIONS[convention])
    hidden = {"affine": "affine: {W: '[[1, 0, 2], [0, 1, 0], [3, 0, 1]]'}", "add": "add: {y: z1**2}"}.get(layer, layer)
    rest = ("loss: mse", *(["batch: columns"] if convention == "columns" else []))
    case = net(tmp_path, inputs, *rest, activation=hidden, by_rows=convention == "rows")
    assert all(entry.passed and entry.verdict != "inconclusive" for entry in gradcheck.run(case).entries)


@pytest.mark.parametrize("convention", CONVENTIONS)
@pytest.mark.parametrize("reduction", ["sum", "mean"])
@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.one_in(3)
def test_every_loss_is_the_same_in_every_convention(loss: str, reduction: str, convention: str, tmp_path: Path) -> None:
    if reduction not in LOSSES[loss].reductions:
        pytest.skip(f"{loss} has no {reduction}")
    columns = ["batch: columns"] if convention == "columns" else []
    inputs = ", ".join(CONVENTIONS[convention])
    said = f"loss: {{{loss}: {{reduction: {reduction}}}}}"
    losses = []
    for last in [last for last in LOSSES[loss].after if last not in ("flatten", "add")] or ["affine"]:
        end = [] if last == "affine" else [f"  - {last}"]
        case = net(tmp_path, inputs, *end, said, *columns, by_rows=convention == "rows")
        losses.append(float(prepare(case).run()["loss"]))
        assert all(entry.passed for entry in gradcheck.run(case).entries)
    np.testing.assert_allclose(losses, losses[0], rtol=1e-12)  # from logits as from probabilities
    if convention == "columns":
        rows = net(tmp_path, ", ".join(CONVENTIONS["rows"]), said, by_rows=True)
        np.testing.assert_allclose(losses[0], prepare(rows).run()["loss"], rtol=1e-12)


def test_a_network_of_any_depth_trains_in_minibatches(tmp_path: Path) -> None:
    layers = ", ".join(["{affine: {W: W, b: b}}, tanh"] * 30)
    case = only_case(
        tmp_path,
        f"""\
inputs: {{X: {{init: normal, shape: [20, 3], seed: 1}}, y: {[k % 2 for k in range(20)]}}}
parameters: {{W: {{init: he, shape: [3, 3], seed: 2}}, b: [0, 0, 0], V: {{init: he, shape: [3, 2], seed: 3}}}}
layers: [{layers}, {{affine: {{W: V}}}}]
loss: cross_entropy
train: {{optimizer: {{name: sgd, lr: 0.1}}, epochs: 3, batch_size: 8, over: [X, y]}}
""",
    )
    assert [equation.name for equation in case.equations][-4:] == ["z30", "a30", "z31", "loss"]
    assert train.run(case).columns["loss"][-1] < train.run(case).columns["loss"][0]


def test_a_case_may_have_layers_of_its_own(tmp_path: Path) -> None:
    path = tmp_path / "net.yaml"
    path.write_text(
        """\
inputs: {x: [1, 2], y: 1}
parameters: {w: [0.3, 0.4], b: 0.5}
layers: [{affine: {W: w, b: b}}, {sigmoid: {as: p}}]
loss: bce
cases:
  probability: {expected: {p: 0.5}}
  no bias: {layers: [{affine: {W: w, as: s}}], expected: {s: 1.1}}
  batch: {inputs: {x: [[1, 2], [3, 4]], y: [1, 0]}, expected: {p: [0.5, 0.5]}}
""",
        encoding="utf-8",
    )
    assert [equations(case) for case in load(path).cases] == [
        ["z1 = w @ x + b", "p = sigmoid(z1)", "loss = -(y * log(p) + (1 - y) * log(1 - p))"],
        ["s = w @ x", "loss = softplus(s) - y * s"],
        ["z1 = x @ w + b", "p = sigmoid(z1)", "loss = -mean(y * log(p) + (1 - y) * log(1 - p))"],
    ]


@pytest.mark.parametrize(
    ("y", "W", "loss"),
    [
        ("[1, 0]", "[[1], [2]]", "mean(softplus(z1) - y[:, None] * z1)"),
        ("[[1], [0]]", "[1, 2]", "mean(softplus(z1) - y[:, 0] * z1)"),
        ("[[1], [0]]", "[[1], [2]]", "mean(softplus(z1) - y * z1)"),
    ],
)
def test_labels_of_bce_are_a_vector_or_a_column(tmp_path: Path, y: str, W: str, loss: str) -> None:
    path = tmp_path / "net.yaml"
    text = f"inputs: {{x: [[1, 2], [3, 4]], y: {y}}}\nparameters: {{W: {W}}}\nlayers: [{{affine: {{W: W}}}}]\n"
    path.write_text(text + "loss: bce\n", encoding="utf-8")
    assert equations(load(path).cases[0])[-1] == f"loss = {loss}"


IMAGES = """\
inputs: {{X: {{init: normal, shape: {image}, seed: 0}}, y: {y}}}
parameters:
  K1: {{init: normal, shape: [4, 2, 3, 3], scale: 0.3, seed: 1}}
  b1: [0.1, -0.2, 0.3, 0]
  K2: {{init: normal, shape: [4, 4, 1, 3], scale: 0.3, seed: 2}}
  g: [1, 2, 0.5, -1]
  c: [0, 0.1, 0.2, 0.3]
  W: {{init: normal, shape: [{weights}], seed: 3}}
layers:
  - conv2d: {{k: K1, b: b1, stride: 2, pad: 1}}
  - batch_norm: {{gamma: g, beta: c}}
  - relu
  - conv2d: {{k: K2, pad: "(0, 1)"}}
  - add: a1
  - max_pool: {{size: 2, stride: 1}}
  - avg_pool: (1, 2)
  - flatten
  - affine: {{W: {W}}}
loss: cross_entropy
"""


@pytest.mark.parametrize("samples", [None, 3])
def test_a_net_of_images_is_that_of_pytorch(samples: int | None, tmp_path: Path) -> None:
    torch = pytest.importorskip("torch", reason="PyTorch is the witness here")
    functional = torch.nn.functional
    one = {"image": "[2, 8, 9]", "y": "1", "weights": "3, 24", "W": "W"}
    several = {
        "image": f"[{samples}, 2, 8, 9]",
        "y": [k % 3 for k in range(samples or 0)],
        "weights": "24, 3",
        "W": "W",
    }
    case = only_case(tmp_path, IMAGES.format(**(several if samples else one)))
    names = ("X", "K1", "b1", "K2", "g", "c", "W")
    ours = prepare(case).run()
    X, K1, b1, K2, g, c, W = (torch.tensor(np.array(ours[name]), requires_grad=name != "X") for name in names)
    x = X if samples else X[None]
    a1 = functional.relu(
        functional.batch_norm(functional.conv2d(x, K1, b1, stride=2, padding=1), None, None, g, c, training=True)
    )
    pooled = functional.max_pool2d(functional.conv2d(a1, K2, padding=(0, 1)) + a1, 2, stride=1)
    logits = functional.avg_pool2d(pooled, (1, 2)).flatten(1) @ (W if samples else W.T)
    loss = functional.cross_entropy(logits, torch.tensor(ours["y"]).reshape(-1).long())
    loss.backward()
    np.testing.assert_allclose(ours["loss"], loss.item(), rtol=1e-13)
    for name, parameter in zip(names[1:], (K1, b1, K2, g, c, W), strict=True):
        np.testing.assert_allclose(ours[f"d{name}"], parameter.grad.numpy(), rtol=1e-10, atol=1e-13)


def test_images_train_in_batches_of_any_size(tmp_path: Path) -> None:
    said = IMAGES.format(image="[5, 2, 8, 9]", y="[0, 1, 2, 1, 0]", weights="24, 3", W="W")
    said += "train: {optimizer: {name: sgd, lr: 0.1}, epochs: 3, batch_size: 2, over: [X, y]}\n"
    assert len(train.run(only_case(tmp_path, said)).columns["loss"]) == 4


ONE = "inputs: {{x: [1, 2], y: 1}}\nparameters: {{W: [[1, 2], [3, 4]], b: [1, 2]}}\nlayers: {}\n"
REFUSED = [
    ("[]", "3:9: 'layers' is a list of layers, as in [{affine: {W: W1, b: b1}}, relu]"),
    ("relu", "3:9: 'layers' is a list of layers, as in [{affine: {W: W1, b: b1}}, relu]"),
    ("[rely]", "3:10: unknown layer 'rely'; did you mean 'relu'?"),
    ("[[relu]]", "3:10: a layer is a word, or a word with its arguments, as in {affine: {W: W1}}, not a list"),
    (
        "[{affine: {W: W}, relu: {}}]",
        "3:10: a layer is a word, or a word with its arguments, as in {affine: {W: W1}}, not a mapping of 2 keys",
    ),
    ("[affine]", "3:10: affine needs its 'W'"),
    ("[{affine: {w: W}}]", "3:11: affine needs its 'W'\nnet.yaml:3:20: affine has no 'w'; did you mean 'W'?"),
    ("[{affine: {W: W, as: 2}}]", "3:30: '2' is not a name: letters, digits and '_', beginning with a letter"),
    ("[{affine: {W: V}}]", "3:23: unknown name 'V'"),
    ("[{affine: {W: 'W @ V'}}]", "3:28: unknown name 'V'"),
    ("[{affine: {W: b, as: z}}, {affine: {W: W}}]", "3:36: z2 = W @ z: @ needs vectors or matrices, "),
    (
        "[relu]\nloss: mse",
        "4:7: the shapes that mse compares do not fit: the output 'a0' has (2,), the target 'y' has ()",
    ),
    ("[relu]\nloss: {mse: {reduction: sum, target: x}}", "4:8: mse has the reduction mean only"),
    ("[relu]\nloss: cross_entropy", "4:7: cross_entropy comes after softmax, affine, flatten or add, not after relu"),
    ("[relu]\nloss: hinge", "4:7: unknown loss 'hinge'; known are "),
    ("[relu]\nloss: {mse: {target: q}}", "4:22: unknown name 'q'"),
    ("[relu]\nbatch: stacked", "4:8: unknown batch 'stacked'; known are rows, columns"),
    ("[{conv2d: {k: W}}]", "3:11: z1 = conv2d(x, W): conv2d slides a kernel "),
    ("[{conv2d: {}}]", "3:11: conv2d needs its 'k'"),
    ("[{max_pool: {size: 2}}]", "3:11: m0 = max_pool(x, size=2): max_pool needs an array with rows and columns, "),
    (
        "[{conv2d: {k: W, x: W, stride: b}}]",
        "3:11: z1 = conv2d(W, W, stride=b): stride of conv2d must be a whole number of at least 1, or two of them, for "
        "rows and columns, not 'b'",
    ),
    (
        "[{conv2d: {k: W, x: W, stride: 0}}]",
        "3:11: z1 = conv2d(W, W, stride=0): stride of conv2d must be a whole number ",
    ),
    ("[{flatten: {x: W}}]\nbatch: columns", "3:11: flatten has samples along the first axis, not as columns"),
    ("[batch_norm]", "3:10: batch_norm is over samples of units, or over images with channels, not (2,)"),
    ("[{relu: {as: h}}, {relu: {as: h}}]", "3:28: there are two nodes called 'h'; rename a layer's with 'as'"),
    ("[{relu: {as: h}}]\nequations: {h: x}", "4:13: there are two nodes called 'h'; rename a layer's with 'as'"),
    ("[{relu: {as: b}}]", "3:11: 'b' is a parameter (line 2) and cannot be an equation too"),
]


@pytest.mark.parametrize(("layers", "message"), REFUSED)
def test_what_it_refuses(layers: str, message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("net.yaml").write_text(ONE.format(layers), encoding="utf-8")
    with pytest.raises(MathlabError) as caught:
        load("net.yaml")
    assert str(caught.value).startswith(f"net.yaml:{message}")


NOT_SAID = [
    ("inputs: {a: 1}\nlayers: [relu]", "2:10: say what relu reads, as in relu: {x: NAME}; no input is called x or X"),
    ("inputs: {x: 1, X: 2}\nlayers: [relu]", "2:10: say what relu reads, as in relu: {x: NAME}; there are x and X"),
    ("inputs: {x: [1]}\nlayers: [relu]\nloss: mse", "3:7: say what mse reads, as in mse: {target: NAME}; no input is "),
    ("inputs: {x: 1}\nequations: {y: x}\nloss: mse", "3:7: 'loss' needs 'layers'"),
    ("inputs: {x: 1}\nequations: {y: x}\nbatch: rows", "3:8: 'batch' needs 'layers'"),
    (
        "inputs: {X: [[1, 2, 3]]}\nparameters: {W: [[1, 2]]}\nlayers: [{affine: {W: W}}]",
        "3:11: z1 = X @ W: shapes (1, 3) and (1, 2) do not fit: the inner sizes 3 and 1 differ in 'X @ W'",
    ),
    (
        "inputs: {X: [[1, 2, 3], [4, 5, 6]]}\nparameters: {W: [[1, 2]]}\nlayers: [{affine: {W: W}}]",
        "3:11: z1 = X @ W: shapes (2, 3) and (1, 2) do not fit: the inner sizes 3 and 1 differ in 'X @ W'; "
        "where samples are columns, say 'batch: columns'",
    ),
    ("inputs: {x: [1, a]}\nlayers: [relu]\nexpected: {a0: 1}", "1:17: a number is needed here, not 'a'"),
]


@pytest.mark.parametrize(("text", "message"), NOT_SAID)
def test_what_has_to_be_said(text: str, message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("net.yaml").write_text(text, encoding="utf-8")
    with pytest.raises(MathlabError) as caught:
        load("net.yaml")
    assert str(caught.value).startswith(f"net.yaml:{message}")
    assert len(caught.value.problems) == 1


def test_the_backward_equations_of_columns_read_as_an_article_has_them(tmp_path: Path) -> None:
    case = net(tmp_path, f"{X_COLUMNS}, {T_COLUMNS}", *SOFTMAX, "batch: columns")
    backward = derivation(case, "text").splitlines()
    assert {"dW1 = dz1 @ X.T", "db1 = sum(dz1, axis=1)", "dW2 = dz2 @ a1.T", "db2 = sum(dz2, axis=1)"} <= {*backward}
