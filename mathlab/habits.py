"""What other tools, languages and articles write, and what is written here in its place.

Tables of words: functions, optimizers and their settings, layers, losses, keys, commands, options. Messages look up
what was written and could not be read; nothing is accepted by these tables.
"""

from __future__ import annotations

import ast
import difflib
import functools
import itertools
import re
import unicodedata
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
    "sigmoid": "logistic expit sig sigma",
    "silu": "swish",
    "leaky_relu": "lrelu prelu leakyrelu",
    "log_softmax": "logsoftmax",
    "cross_entropy": "crossentropy crossentropywithlogits softmaxcrossentropywithlogits softmaxcrossentropy",
    "mean(argmax(p, axis=1) == t)": "accuracy acc",
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
    "the value itself": "tensor asarray item numpy cpu clone copy contiguous float double astype",
    "an input in its place, through which no gradient passes": "detach stopgradient",
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
    "einsum('ii->', x)": "trace tr",
}
# The same of other words. One may stand in several rows: it means what can stand where it was found.
HERE: Mapping[str, str] = {
    # settings of functions, losses and layers
    "axis": "dim dims axes",
    "mse": "meansquarederror",
    "sse": "squarederror sumsquarederror sumofsquares rss",
    "half_sse": "quadratic",
    "cross_entropy": "categoricalcrossentropy sparsecategoricalcrossentropy softmaxcrossentropy "
    "softmaxcrossentropywithlogits xent ce nll",
    "bce": "binarycrossentropy bcewithlogits binarycrossentropywithlogits logistic",
    "affine": "dense linear fc fullyconnected gemm innerproduct",
    "W": "weight weights kernel",
    "b": "bias biases",
    # optimizers and their settings
    "sgd": "gd gradientdescent batchgradientdescent stochasticgradientdescent vanilla",
    "momentum": "heavyball sgdmomentum sgdwithmomentum momentumsgd polyak beta mu gamma",
    "nesterov": "nag nesterovmomentum",
    "lr": "learningrate eta stepsize alpha",
    "alpha": "rho decay beta gamma negativeslope slope a",
    "beta1": "betas b1 beta",
    "beta2": "b2",
    "eps": "epsilon delta",
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
    "formula": "eq equation expr expression derived",
    "optimizer": "lr learningrate momentum scheduler lrschedule schedule weightdecay method algorithm",
    "seed": "shuffle randomstate randomseed rng",
    "after": "expected figures results checkpoints",
    "printed": "value text number expected figure",
    "digits": "tolerance tol rtol atol precision decimals",
    "at": "note comment where section page source reference equation",
    "because": "reason why",
    "grid": "lr learningrate epochs batchsize values",
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
    "std": "sigma stddev",
    "low": "min minval a",
    "high": "max maxval b",
    "float64": "double fp64 f64",
    "float32": "single fp32 f32",
}
# Words that are close to one that exists, and mean something that does not.
NOWHERE = frozenset(
    "model any median sort argsort normal rand randn celu glu hardsigmoid heuniform lrdecay "
    "arctan atan arcsin asin arccos acos arctanh atanh nadam adamax lbfgs cross kron hessian mae l2 units "
    "activation float16 bfloat16 half device metrics seed kaiminguniform glorotnormal xaviernormal truncatednormal "
    "det inv pinv svd eig solve qr cholesky roll tile repeat unique amsgrad".split()
)

# Commands, and options with what stands behind them.
COMMANDS: Mapping[str, str] = {
    "run": "check test verify validate all figures ci",
    "backprop": "forward backward propagate gradients grad grads compute show",
    "gradcheck": "checkgrad gradientcheck numericalgradient",
    "train": "fit learn optimize",
    "diff": "compare",
    "init": "new create start example",
    "guide": "help man manual docs",
    "--version": "version",
    "update": "fix mend",
    "draw": "graph render",
}
OPTIONS: Mapping[str, str] = {
    "--format json": "json",
    "--format junit": "junit xml",
    "--format markdown": "markdown md",
    "--format latex": "latex tex",
    "--format numpy": "numpy python code",
    "--out DIR": "output outputs outputdir outdir dir folder",
    "--report FILE": "file save log outputfile",
    "--as KIND": "format kind type",
    "--dry-run": "dry check preview diff",
    "--brief": "short summary compact",
    "--quiet": "silent q",
    "--witness NAMES": "witnesses backend with",
    "--case NAME": "cases name only k",
    "--map ARRAY=NAME": "rename alias names",
    "--thorough": "exhaustive full all",
    "--allow-unmatched": "ignore ignoreunmatched unmatched",
    "--verbose": "v debug full all",
    "--threads N": "jobs j numthreads workers",
}


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
    "np numpy torch jnp jax lax tf keras K F nn math cmath linalg special scipy sp functional cupy cp optim optax Flux "
    "optimizers losses layers activations initializers init".split()
)
DERIVED = frozenset("grad gradient gradients d D diff nabla derivative partial".split())  # as if they were functions
CONSTANTS = {
    "pi": "pi",
    "π": "pi",
    "e": "e",
    "inf": "inf",
    "end": "-1 for the last entry, and x[1:] for all from 1 on",
    "newaxis": "None, as in x[:, None]",
}

INSTEAD: Mapping[type[ast.expr], str] = {
    ast.BoolOp: "; of two masks the product is taken, as in (a > 0) * (b > 0)",
    ast.IfExp: "; a choice is written where(c, a, b)",
    ast.UnaryOp: "; what is not so is written (x == 0)",
    ast.ListComp: "; arrays are read whole, as in sum(w * x), and steps are a loop, 'for t in 1..T:'",
    ast.GeneratorExp: "; arrays are read whole, as in sum(w * x), and steps are a loop, 'for t in 1..T:'",
    ast.Lambda: "; an equation says its value, with the names that it reads",
}

# Keys that hold a mapping, of which people give a word.
EXAMPLES = {
    "inputs": ", as in {x: [1, 2]}",
    "parameters": ", as in {w: 0.5}",
    "equations": ", as in {y: w * x}",
    "expected": ", as in {y: 0.50}",
    "optimizer": ", as in {name: sgd, lr: 0.1}",
    "source": ", as in {title: ..., url: ...}",
    "derivation": ", as in {dw: dy * x}",
    "train": ", as in {epochs: 1, optimizer: {name: sgd, lr: 0.1}}",
    "after": ", as in {1: {w: 0.50}}",
    "sweep": ", as in {grid: {lr: [0.1, 0.2]}}",
    "cases": ", as in {second: {inputs: {x: 2}}}",
}

OVER = {"\N{COMBINING CIRCUMFLEX ACCENT}": "hat", "\N{COMBINING TILDE}": "tilde", "\N{COMBINING MACRON}": "bar"}


@functools.lru_cache(10_000)
def folded(word: str) -> str:
    """A word without what tools differ in: case, '_' and '-', and the 'Loss' behind a loss."""
    path = re.sub(r"\(.*", "", word).split(".")
    plain = unicodedata.normalize("NFD", path[-1] if path[0] in MODULES else ".".join(path))
    plain = "".join(map(_spelt, re.sub(r"[\s_-]", "", plain)))
    plain = plain.casefold() if plain.isascii() else plain  # Σ is no σ
    return plain.removesuffix("loss") or plain


def _spelt(sign: str) -> str:
    """A Greek letter as its name, and what stands over a letter as people write it behind it: ŷ is yhat."""
    called = unicodedata.name(sign, "")
    return called.split()[-1].lower() if called.startswith("GREEK SMALL LETTER ") else OVER.get(sign, sign)


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


def command(word: str) -> str:
    """What to write for a command that is none; empty where nothing is known of it."""
    return next((here for here, words in COMMANDS.items() if folded(word) in words.split()), "")


def option(word: str, known: Iterable[str]) -> str:
    """A hint for an option that a command, whose `known` ones these are, does not have."""
    options, name = {*known}, folded(word)
    settings = ("lr", "epochs", "batch_size", "seed", "momentum", "dtype")
    if setting := next((one for one in settings if folded(one) == name), here(name, settings)):
        target = setting if setting == "dtype" else f"train.{setting}"
        return f"; write --set {target}=VALUE" if "--set" in options else f"; {setting} stands in the config"
    written = (one for one, words in OPTIONS.items() if name in words.split() and one.split()[0] in options)
    close = difflib.get_close_matches(word, options, n=1, cutoff=0.75)
    return next((f"; write {one}" for one in (*written, *close)), "")
