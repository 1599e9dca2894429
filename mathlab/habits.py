"""What other tools, languages and articles write, and what is written here in its place.

A table for words (functions, optimizers and their settings, layers, losses, keys) and one for each kind of slip that is
seen by its signs. Messages look up what was written and could not be read; nothing is accepted by these tables.
"""

from __future__ import annotations

import ast
import itertools
import re
from collections.abc import Iterable, Mapping, Sequence

# What is written here: what it is called elsewhere, in lower case and without '_'.
FUNCTIONS: Mapping[str, str] = {
    "log": "ln",
    "log10": "lg",
    "sum": "reducesum nansum Σ",
    "mean": "reducemean avg average",
    "max": "amax reducemax",
    "min": "amin reducemin",
    "maximum": "fmax",
    "minimum": "fmin",
    "clip": "clamp clipbyvalue",
    "abs": "absolute fabs",
    "sign": "sgn signum",
    "tan": "tg",
    "dot": "inner vdot",
    "norm": "l2norm norm2 frobenius",
    "sigmoid": "logistic expit sig sigma σ",
    "silu": "swish",
    "leaky_relu": "lrelu prelu leakyrelu",
    "log_softmax": "logsoftmax",
    "cross_entropy": "crossentropy crossentropywithlogits softmaxcrossentropywithlogits softmaxcrossentropy",
    "max_pool": "maxpool maxpool2d",
    "avg_pool": "avgpool avgpool2d",
    "where": "ifelse cond select iif",
    "one_hot": "tocategorical",
    "concat(a, b, axis=0)": "cat concatenate hstack vstack",
    "transpose": "permute moveaxis",
    "reshape": "view",
    "(x > 0)": "step heaviside",
    "x**2": "power",
    "x @ W + b": "linear dense fc fullyconnected",
    "a * b": "multiply hadamard elementwise",
    "a - b": "subtract",
    "a / b": "divide truedivide",
    "a @ b": "mm bmm tensordot product",
    "x[:, None]": "expanddims unsqueeze",
    "x[0]": "squeeze",
    "reshape(x, -1)": "flatten ravel",
    "x.T": "matrixtranspose",
    "the value itself": "detach item numpy cpu clone copy contiguous float double",
    "d<name>, which is derived by itself": "backward autograd",
    "shape(x)": "shape",
    "shape(x)[0]": "len",
    "size(x)": "size numel",
    "exp(x) / sum(exp(x))": "softargmax",
    "-softplus(-x)": "logsigmoid",
    "x * tanh(softplus(x))": "mish",
    "clip(x, -1, 1)": "hardtanh",
    "clip(x, 0, 6)": "relu6",
    "1.0507 * elu(x, 1.67326)": "selu",
    "sigmoid(x) * (1 - sigmoid(x))": "sigmoidprime dsigmoid sigmoidderivative sigmoidgrad",
    "(exp(x) - exp(-x)) / 2": "sinh",
    "(exp(x) + exp(-x)) / 2": "cosh",
    "2**x": "exp2",
    "x * sigmoid(1.702 * x)": "quickgelu",
    "softmax(-x)": "softmin",
    "huber(y - t)": "smoothl1",
    "sum(t * log(t / y))": "kldiv kldivergence kl",
    "dot(a, b) / (norm(a) * norm(b))": "cosinesimilarity cosine",
    "1 / sqrt(x)": "rsqrt",
    "sign(x) * abs(x)**(1 / 3)": "cbrt",
    "(x - mean(x)) / std(x)": "batchnorm layernorm normalize standardize",
    "x * mask, with an input mask": "dropout",
    "mean((y - t)**2)": "mse meansquarederror",
    "sum((y - t)**2)": "sse rss squarederror",
    "mean(abs(y - t))": "mae l1 meanabsoluteerror",
    "mean(maximum(0, 1 - t * y))": "hinge",
    "-mean(t * log(y) + (1 - t) * log(1 - y))": "bce binarycrossentropy",
    "mean(softplus(z) - t * z)": "bcewithlogits binarycrossentropywithlogits sigmoidcrossentropywithlogits",
    "-log(p[t])": "nll",
}
# The same of other words. One may stand in several rows: it means what can stand where it was found.
HERE: Mapping[str, str] = {
    # settings of functions, losses and layers
    "axis": "dim axes",
    "mse": "meansquarederror",
    "sse": "squarederror sumsquarederror sumofsquares rss",
    "half_sse": "quadratic",
    "cross_entropy": "categoricalcrossentropy sparsecategoricalcrossentropy softmaxcrossentropy "
    "softmaxcrossentropywithlogits xent ce",
    "bce": "binarycrossentropy bcewithlogits binarycrossentropywithlogits logistic",
    "affine": "dense linear fc fullyconnected gemm innerproduct",
    "W": "weight weights kernel",
    "b": "bias biases",
    # optimizers and their settings
    "sgd": "gd gradientdescent batchgradientdescent stochasticgradientdescent vanilla",
    "momentum": "heavyball sgdmomentum sgdwithmomentum momentumsgd polyak beta mu gamma",
    "nesterov": "nag nesterovmomentum",
    "lr": "learningrate eta stepsize alpha η α",
    "alpha": "rho decay beta gamma negativeslope slope a",
    "beta1": "betas b1 beta β1",
    "beta2": "b2 β2",
    "eps": "epsilon delta ε",
    "weight_decay": "l2 wd lambda regularization",
    "clip_norm": "maxnorm gradclip maxgradnorm",
    # keys
    "parameters": "variables weights params theta trainable vars init",
    "inputs": "data constants features dataset",
    "equations": "forward model graph nodes computation formulas",
    "layers": "network net architecture",
    "derivation": "backward gradients backprop grads grad derivatives",
    "expected": "results figures outputs values printed assert numbers verify test tests check checks",
    "gradcheck": "gradientcheck checkgradients checkgrad",
    "train": "training optimizer epochs lr learningrate fit batchsize minibatchsize",
    "cases": "variants examples scenarios experiments",
    "sweep": "hyperparameters search grid",
    "pictures": "plots plot graphs draw",
    "dtype": "precision type",
    "title": "name",
    "source": "description article author url link paper reference doi",
    "epochs": "steps iterations updates iters maxiter niter numsteps passes",
    "batch_size": "batch bs minibatch minibatchsize",
    "columns": "usecols names",
    "but": "drop exclude except without",
    "divide_by": "scale normalize",
    "header": "skiprows",
    "value": "fill const",
    "optimizer": "lr learningrate momentum scheduler lrschedule schedule weightdecay method algorithm",
    "seed": "shuffle randomstate randomseed rng",
    "after": "expected figures results checkpoints",
    "printed": "value text number expected figure",
    "digits": "tolerance tol rtol atol precision decimals",
    "at": "note comment where section page source reference equation",
    "because": "reason why",
    "truncate": "floor cut trunc down",
    "rtol": "tol tolerance atol",
    "step": "eps epsilon h delta",
    "note": "author date publisher comment",
    "url": "link href doi",
    # initial values
    "he": "kaiming henormal kaimingnormal",
    "xavier": "glorot glorotuniform xavieruniform",
    "normal": "random randn gaussian standardnormal",
    "uniform": "rand",
    "shape": "size dims dim",
    "std": "sigma stddev σ",
    "low": "min",
    "high": "max",
    "float64": "double fp64 f64",
    "float32": "single fp32 f32",
}
# Words that are close to one that exists, and mean something that does not.
NOWHERE = frozenset(
    "model any median sort argsort normal rand randn celu glu hardsigmoid heuniform lrdecay "
    "arctan atan arcsin asin arccos acos arctanh atanh nadam adamax lbfgs cross kron hessian mae l2 units "
    "activation float16 bfloat16 half device metrics seed".split()
)


def _turned(*tables: Mapping[str, str]) -> Mapping[str, Sequence[str]]:
    """From each word to what it may mean."""
    found: dict[str, list[str]] = {}
    for here, words in itertools.chain(*(table.items() for table in tables)):
        for word in words.split():
            found.setdefault(word, []).append(here)
    return found


CALLED = _turned(FUNCTIONS)
ELSEWHERE = _turned(FUNCTIONS, HERE)

MODULES = frozenset(
    "np numpy torch jnp jax tf keras K F nn math cmath linalg special scipy sp functional cupy cp optim".split()
)
DERIVED = frozenset("grad gradient gradients d D diff nabla derivative partial".split())  # as if they were functions
CONSTANTS = {"pi": "pi", "π": "pi", "e": "e", "inf": "inf", "end": "-1 for the last entry"}

INSTEAD: Mapping[type[ast.expr], str] = {
    ast.BoolOp: "; of two masks the product is taken, as in (a > 0) * (b > 0)",
    ast.IfExp: "; a choice is written where(c, a, b)",
    ast.UnaryOp: "; what is not so is written (x == 0)",
    ast.ListComp: "; arrays are read whole, as in sum(w * x), and steps are a loop, 'for t in 1..T:'",
    ast.GeneratorExp: "; arrays are read whole, as in sum(w * x), and steps are a loop, 'for t in 1..T:'",
    ast.Lambda: "; an equation says its value, with the names that it reads",
}

Slips = tuple[tuple[str, str], ...]

# What an expression looks like that is none, and what to write.
SIGNS: Slips = (
    (r"[∂∇]", "the gradient of w is written dw, without '∂'"),
    (r"\\|\$", "an expression is not LaTeX: write sigmoid(x), w @ x, a / b"),
    (r"[·⋅×∗∙•]", "a product is written '*', that of matrices '@'"),
    (r"[⊙∘⊗]", "an entry-wise product is written '*'"),
    (r"[÷⁄]", "a quotient is written a / b"),
    (r"[−–—]", "a minus sign is written '-'"),
    (r"‖", "a norm is written norm(x)"),
    (r"[“”‘’]", "quotes of this kind are no part of an expression"),
    (r"->|→|↦|:=", "write the expression alone"),
    (r"[_^]\{", "an entry is written x[0], a power x**2"),
    (r"%\*%", "a product of matrices is written '@'"),
    (r"\.[*/^]", "entry-wise operators are written *, / and **"),
    (r"\w\.\(", "a function is called as in tanh(x), and takes every entry"),
    (r"∞", "what is infinite is written inf"),
    (r"√", "a root is written sqrt(x)"),
    (r"∑|Σ\s", "a sum is written sum(x)"),
    (r"∏", "a product of entries is written prod(x)"),
    (r"[≥≤≠]", "comparisons are written '>=', '<=', '==' and '!='"),
    (r"<>", "what differs is written a != b"),
    (r"\?", "a choice is written where(c, a, b)"),
    (r"&&|&", "of two masks the product is taken, as in (a > 0) * (b > 0)"),
    (r"\|", "an absolute value is written abs(x), a norm norm(x)"),
    (r"^[^']*'[^']*$", "a transpose is written x.T, and what is derived d<name>"),
    (r"^\s*[\w\[\], ]*[-+*/]?=(?!=)", "write only what stands to the right of '='"),
    (r";\s*$", "an expression does not end in ';'"),
)
# What is read as other letters, because names are the same in all their forms: x² is x2.
SUPERSCRIPTS: Slips = ((r"[ᵀᵗ⊤]", "x.T for a transpose"), (r"[⁰¹²³⁴⁵⁶⁷⁸⁹⁺⁻ⁿ]", "x**2 for a power"))
_DIGITS = r"[+-]?(?:\d+\.?\d*|\.\d+)"
# The same of a whole text that is to be a number.
NUMBERS: Slips = (
    (r"([+-]?[1-9]\d{0,2}),(\d{3})", r"write \1.\2 or \1\2, without ','"),
    (r"[+-]?\d{1,3}(?:,\d{3})+\.\d+", "digits stand without separators"),
    (r"([+-]?\d+),(\d+)", r"a decimal point is written '.', as in \1.\2"),
    (rf"[~≈≃∼]\s*({_DIGITS})", r"write \1 alone, whose digits say how precise it is"),
    (rf"({_DIGITS})\s*(?:±|\+/?-).*", r"write \1 alone, whose digits say how precise it is"),
    (rf"{_DIGITS}\s*%", "a percentage is written as a fraction, as in 0.25"),
    (rf"{_DIGITS}\s*[×x*·⋅]\s*10\s*[-+^*⁰¹²³⁴-⁹⁻].*|{_DIGITS}\s+[eE].*", "a power of ten is written as in 3.9e-2"),
    (r"[+-]?\d{1,3}(?:[ _'’.]\d{3})+(?:[.,]\d+)?", "digits stand without separators"),
    (rf"{_DIGITS}\s*/\s*{_DIGITS}", "a fraction is written out in digits, or is an equation"),
    (rf"({_DIGITS}(?:[eE][+-]?\d+)?)(?:[fFLdj]|\.\.\.?|…)", r"write \1 alone"),
    (r"(?:\w+\.)*(?:rand\w*|normal|uniform)\(.*", "values are drawn as in {init: normal, shape: [2, 3], seed: 0}"),
    (r"(?:\w+\.)*(?:zeros|ones|eye)\(.*", "values are made as in {init: zeros, shape: [2, 3]}"),
    (r"(?:\w+\.)*(?:array|asarray|tensor|matrix|Tensor|float\d+)\(.*", "the numbers stand alone, in brackets"),
    (r"[\w./-]+\.(?:csv|tsv|txt|npy|npz|json|mat|pt)", r"a file is named as in {file: \g<0>}"),
    (r"([1-9]\d*)\s*[x×]\s*([1-9]\d*)", r"a shape is written [\1, \2]"),
    (
        rf"\(?\s*{_DIGITS}(?:\s*[,;]\s*|\s+){_DIGITS}.*|\({_DIGITS}",
        "a list is written [1, 2], in brackets and with commas",
    ),
    (r"pi|π", "write 3.141592653589793"),
    (
        r"he|xavier|normal|uniform|zeros|ones|randn?|random",
        "values are drawn as in {init: normal, shape: [2, 3], seed: 0}",
    ),
    (r"(?:\w+\.)*[^\W\d]\w*\(.*", "a formula is written out in digits, or is an equation"),
    (rf"[^\d.+*/^-]*(?<![A-Za-z])({_DIGITS}(?:[eE][+-]?\d+)?)(?![\d.]*[eE\d])[^\d*/^]*", r"write \1 alone"),
)
# The same of a text that is to be a key with its value.
PAIRS: Slips = (
    (r"([\w.\[\],]+)\s*[=:]\s*([^=\s()/](?:[^()=]|\([^()]*\))*?)(?:\s+\w+\s*[=:].*)?", r"write \1: \2"),
    (r"\w+\s*[-+*/@]=.*", "a name is given once, and what comes of it has another"),
    (r"true|yes|on", "write {}"),
)

# Keys that hold a mapping, of which people give a word.
EXAMPLES = {
    "inputs": ", as in {x: [1, 2]}",
    "parameters": ", as in {w: 0.5}",
    "equations": ", as in {y: w * x}",
    "expected": ", as in {y: 0.50}",
    "optimizer": ", as in {name: sgd, lr: 0.1}",
    "source": ", as in {title: ..., url: ...}",
}


LONGEST_SLIP = 200  # characters of what is held against the words and signs here; more are no slip


def folded(word: str) -> str:
    """A word without what tools differ in: case, '_' and '-', and the 'Loss' behind a loss."""
    path = re.sub(r"\(.*", "", word).split(".")
    plain = re.sub(r"[\s_-]", "", path[-1] if path[0] in MODULES else ".".join(path))
    plain = plain.casefold() if plain.isascii() else plain  # Σ is no σ
    return plain.removesuffix("loss") or plain


def here(word: str, known: Iterable[str] = ()) -> str:
    """What another tool's word is among the `known` ones; empty where nothing is known of it."""
    words = {*known}
    return next((one for one in ELSEWHERE.get(folded(word), ()) if one in words), "")


def expression(word: str) -> str:
    """What is written in the place of another tool's function, where that is no function here."""
    return next((one for one in CALLED.get(folded(word), ()) if not one.isidentifier()), "")


def first(word: str) -> str:
    """What another tool's function is called here, or the word itself."""
    return next(iter(CALLED.get(folded(word), ())), word)


def unbound(owner: ast.expr, shown: str, function: str, more: bool) -> str:
    """What to write in the place of a module's function, or of a method; the owner is `shown`, and may take `more`."""
    root = owner
    while isinstance(root, ast.Attribute):
        root = root.value
    if isinstance(root, ast.Name) and root.id in MODULES:
        function = folded(function) if function[0].isupper() else function  # nn.ReLU
        return expression(function) or f"{first(function)}(...), with nothing before it"
    if function in ("t", "transpose", "T") and not more:
        return f"{shown}.T"
    return expression(function) or f"{first(function)}({shown}{', ...' if more else ''})"


def sign(text: str, slips: Slips) -> str:
    """What to write in the place of an expression that has one of these signs; empty where it has none."""
    return next((sentence for pattern, sentence in slips if re.search(pattern, text)), "")


def slip(text: str, slips: Slips) -> str:
    """`"; a decimal point is written '.'"` for a text that is one of these slips, else the empty string."""
    if len(text) > LONGEST_SLIP:
        return ""
    found = ((re.fullmatch(pattern, text.strip(), re.DOTALL), sentence) for pattern, sentence in slips)
    return next((f"; {match.expand(sentence)}" for match, sentence in found if match), "")


def cut(message: str) -> str:
    """A hint for an expression that YAML has cut off at its comma."""
    return "; inside braces an expression with a comma stands in quotes" if "was never closed" in message else ""


def named(text: str) -> str:
    """What a name is, and what is meant by a text that is none."""
    of = gradient_of(text)
    hint = f"; the gradient of {of} is written d{of}" if of else slip(text, PAIRS)
    return f"letters, digits and '_', beginning with a letter{hint}"


def pair(key: str, value: object) -> str:
    """The same for a key with nothing behind it, such as `lr=0.1`."""
    if value != "":
        return ""
    a_number = re.fullmatch(_DIGITS, key)
    return "; a decimal point is written '.', and a list stands in brackets" if a_number else slip(key, PAIRS)


def gradient_of(name: str) -> str:
    """The name whose gradient is meant by `dL_dw`, `dL/dw`, `grad_w`, `w.grad`, `delta_w`; empty for none of these."""
    if len(name) > LONGEST_SLIP:
        return ""
    found = re.fullmatch(
        r"[d∂]\w*?[_/][d∂](\w+)(?:\[.*\])?|d(?:[A-Z]|loss)d(\w+)|(?:grad|nabla|delta|del|g|D|δ|Δ|∇|∂|d_)_?(\w+)|(\w+?)[_.]?(?:grad|gradient|bar)",
        name,
    )
    return next((group for group in found.groups() if group), "") if found else ""


def indented(lines: list[str], at: int) -> str:
    """A hint for a line of YAML that begins where none above it begins."""
    said = [line for line in lines[: at + 1] if line.strip() and line.strip()[0] != "#"]
    starts = [len(line) - len(line.lstrip()) for line in said]
    before = "".join(said[:-1])
    open_still = any(before.count(one) != before.count(other) for one, other in ("[]", "{}"))
    if open_still or len(said) < 2 or said[-2].rstrip()[-1] in ":->|" or starts[-1] in starts[:-1]:
        return ""
    return f"; this line is indented by {starts[-1]}, the one above it by {starts[-2]}"


def quoted(line: str) -> str:
    """A hint for a value in YAML that only quotes keep together."""
    value = line[:LONGEST_SLIP].partition(": ")[2].strip()
    if value[:1] in tuple("@`|>%&*!?,") or re.match(r"""[^{\[]*(: | :)|(["']).*\2 *[^ #]""", value):
        return "; an expression, or a text, of this kind stands in quotes"
    return ""
