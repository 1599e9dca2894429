"""Every way to get a config wrong that we know of, and the sentence that says so."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest

from mathlab.config import described, find, load
from mathlab.errors import MathlabError
from mathlab.language.optimizers import SETTINGS

MINIMAL = "inputs: {x: 2}\nequations: {y: x**2}\n"

GIVEN = "; what it stands for is given in inputs or parameters"
BRACES = "; inside braces an expression with brackets stands in quotes"

KNOWN = (
    "dtype, inputs, parameters, layers, loss, batch, equations, upstream, derivation, expected, gradcheck, train, "
    "sweep, pictures"
)

# whole files: what YAML itself does not allow, or a config does not use
YAML = [
    ("", "1:1: the config is empty"),
    ("# nothing\n", "1:1: the config is empty"),
    (
        "[1, 2]\n",
        "1:1: a config is a mapping of keys, as in 'parameters: {w: 0.5}', not a list; mathlab init writes one",
    ),
    (
        "just text\n",
        "1:1: a config is a mapping of keys, as in 'parameters: {w: 0.5}', not 'just text'; mathlab init writes one",
    ),
    ("---\na: 1\n---\nb: 2\n", "3:1: a config is one YAML document, and a second one starts here"),
    ("inputs: {x: 1\n", "2:1: this is not YAML; what '{' opens on line 1 is not closed"),
    (
        "inputs: {x: [1, 2]}\nequations: {y: x[0] + x[1]}\n",
        "2:17: this is not YAML" + BRACES,
    ),
    ("inputs: [1,\n b: c: d\n", "2:6: this is not YAML; what '[' opens on line 1 is not closed"),
    ("\ttitle: a\n", "1:1: a tab stands here, and YAML is indented by spaces alone"),
    ("title: 'a\n", "2:1: this is not YAML; the quotes that line 1 opens are not closed"),
    (
        'title: "the \\sigma rule"\n',
        "1:13: this is not YAML; in double quotes a backslash begins an escape, in single quotes it is itself",
    ),
    ('title: {a: "b" c}\n', "1:16: this is not YAML"),
    ("title: a\n b: 2\n", "2:3: this is not YAML; this line is indented by 1, the one above it by 0"),
    ("title: a\u0007b\n", "1:9: the character U+0007 is not allowed in YAML"),
    (MINIMAL + "title: &t [*t]\n", "3:12: the anchor '&t' contains itself"),
    (
        MINIMAL + "title: *t\n",
        "3:8: the anchor '&t' is not defined before this alias; what begins with '*' stands in quotes",
    ),
    (MINIMAL + "title: !!str hello\n", "3:8: tags are not used in a config, so drop '!!str'"),
    (
        MINIMAL + "title: !!python/object:os.system x\n",
        "3:8: tags are not used in a config, so drop '!!python/object:os.system'",
    ),
    (MINIMAL + "<<: {title: a}\n", "3:1: merge keys ('<<') are not supported; cases inherit from the top level"),
    (MINIMAL + "inputs: {y: 3}\n", "3:1: the key 'inputs' is given twice; the first stands on line 1"),
]

# expressions that go on over several lines, in each of YAML's ways
LINES = [
    (
        "inputs: {x: 2}\nequations:\n  y: >\n    x +\n      x *\n\n        q\n",
        "7:9: unknown name 'q' in 'y'; what it stands for is given in inputs or parameters",
    ),
    (
        "inputs: {x: 2}\nequations:\n  y: |-\n    x +\n    x * q\n",
        "5:9: unknown name 'q' in 'y'; what it stands for is given in inputs or parameters",
    ),
    (
        "inputs: {x: 2}\nequations:\n  y: x +\n     x * q\n",
        "4:10: unknown name 'q' in 'y'; what it stands for is given in inputs or parameters",
    ),
    (
        "inputs: {x: 2}\nequations: {y: x +\n  q }\n",
        "3:3: unknown name 'q' in 'y'; what it stands for is given in inputs or parameters",
    ),
    (
        "inputs: {x: 2}\nequations:\n  y: 'x +\n     q'\n",
        "4:6: unknown name 'q' in 'y'; what it stands for is given in inputs or parameters",
    ),
    (
        'inputs: {x: 2}\nequations:\n  y: "x +\n     q"\n',
        "4:6: unknown name 'q' in 'y'; what it stands for is given in inputs or parameters",
    ),
    (
        "inputs: {x: 2}\nequations:\n  y: >\n    x +\n    * x\n",
        "5:5: not an expression: between two operators something is missing",
    ),
]

# what follows from a problem is no second one
FOLLOWING = [
    (
        "inputs: {x: 2}\nequations: {h: rellu(x), y: h**2}\nderivation: {dh: 2 * h, dx: dh * (x > 0)}\n"
        "expected: {h: 2, dh: 4}\n",
        "2:16: unknown function 'rellu'; did you mean 'relu'?",
    ),
    (
        "paramters: {w: 2}\ninputs: {x: 2}\nequations: {y: w * x}\nderivation: {dw: x}\nexpected: {dw: 2, w: 2}\n",
        "1:1: unknown key 'paramters'; did you mean 'parameters'?",
    ),
]

# each of these is one mistake, and what follows from it is told no second time
ALONE = [
    (
        "inputs: {train: {x: 1}, t: 0.5}\nequations: {y: x * t}\n",
        "1:10: 'train' is a section of its own, and no part of the one that it is indented under",
    ),
    (
        "inputs: {x: 1}\nparameters:\n  layer1: {W: 1, b: 2}\nequations: {y: W * x + b}\n",
        "3:11: a mapping that is a value says either 'init' or 'file', "
        "as in {init: normal, shape: [2, 3], seed: 0} and {file: w.csv}",
    ),
    (
        "inputs: {x: 1}\nequations:\n  a(x): x**2\n  y: 2 * a\n",
        "3:3: 'a(x)' is not a name: letters, digits and '_', beginning with a letter; "
        "write a alone: an equation says what it reads",
    ),
    ("inputs: {x: 1}\nequations:\n  _a: x**2\n  y: 2 * a\n", "3:3: a name does not begin with '_', as '_a' does"),
    (
        "inputs:\n  x: 1\n\xa0 t: 2\nequations: {y: x * t}\n",
        "3:1: the blank U+00A0 stands here, and YAML takes plain ones alone",
    ),
    (
        "inputs: {x: 1}\nequations:\n  While t < 3:\n    h[t]: x\n  y: h2\n",
        "3:3: a loop is written 'for t in 1..T:', with its equations below it",
    ),
    (MINIMAL + "cases: {expected: {y: 3}}\n", "3:9: 'expected' is to be indented below the name of a case"),
    (
        MINIMAL + "expected: {y: 4}\ncases:\n  expected: {y: 3}\n",
        "5:3: 'expected' is to be indented below the name of a case",
    ),
    (
        "inputs: {x: 2}\nequations: {at: x**2}\nexpected: {at: 0.2y}\n",
        "3:16: a number is needed here, not '0.2y'; write 0.2 alone",
    ),
    ("inputs: {x: 2}\nequations: {at: x**2}\nexpected: {at: [0.1, y]}\n", "3:22: a number is needed here, not 'y'"),
    (
        MINIMAL + "expected:\n  y: 4\n  rtol: 0.1\n",
        "5:3: unknown name 'rtol'; a figure is judged by the digits that it is printed with",
    ),
    (
        MINIMAL + "expected:\n  y: 4\n  digits: 3\n",
        "5:3: unknown name 'digits'; a figure is judged by the digits that it is printed with",
    ),
    (
        MINIMAL + "pictures: graph, loss\n",
        "3:11: unknown picture 'graph, loss'; known are graph, network, scan, page, mermaid, loss, norms, "
        "curve, contour, heat, steps, sweep, weights; several are a list, as in [graph, loss]",
    ),
    (
        MINIMAL + "train: {sgd: {lr: 0.1}, epochs: 1}\n",
        "3:9: unknown key 'sgd'; it stands in 'optimizer', as in {name: sgd, lr: 0.1}",
    ),
    ("inputs: {x: [[1,2],[3]]}\nequations: {y: x}\n", "1:20: this row has 1 entry, the first has 2"),
    (
        "inputs: {x: \u20110.5}\nequations: {y: x}\n",
        "1:13: a number is needed here, not '\u20110.5'; a minus sign is written '-'",
    ),
    (
        "inputs: {x: 1.0\uff0c 2.0}\nequations: {y: x}\n",
        "1:13: a number is needed here, not '1.0\uff0c 2.0'; signs of full width are none of YAML's: "
        "a comma is written ','",
    ),
    ("inputs: {x: 3 epochs}\nequations: {y: x}\n", "1:13: a number is needed here, not '3 epochs'; write 3 alone"),
    (
        "inputs: {x: 0.1_13}\nequations: {y: x}\n",
        "1:13: a number is needed here, not '0.1_13'; digits stand without separators",
    ),
    (
        "inputs: {x: $X}\nequations: {y: x}\n",
        "1:13: a number is needed here, not '$X'; no variable is filled in here, so write the number",
    ),
    (
        MINIMAL + "expected:\n  sum(x, axis=0) = 4\n",
        "4:3: a mapping is needed here, not 'sum(x, axis=0) = 4'; write sum(x, axis=0): 4",
    ),
    ("inputs: {x: 2}\nequations: {y: x when x > 0}\n", "2:18: not an expression: a choice is written where(c, a, b)"),
    ("%YAML 3.0\n---\n" + MINIMAL + "", "1:1: this is not YAML; a config has no directives, so drop this line"),
    (MINIMAL + "...\ngarbage: [\n", "4:1: this is not YAML"),
    ("@title\n" + MINIMAL + "", "1:1: this is not YAML; an expression, or a text, of this kind stands in quotes"),
    (
        "inputs:\n  x: 2\n  t\uff1a 3\nequations: {y: x}\n",
        "3:3: this is not YAML; signs of full width are none of YAML's: write ':' and ',' with a blank behind",
    ),
]

# keys, names and equations
NAMES = [
    (MINIMAL + "? [a]\n: 1\n", "3:3: a key is a word or an expression, not a list; put it in quotes"),
    (MINIMAL + ": 1\n", "3:1: this is not YAML"),
    *(
        (
            MINIMAL + f"cases:\n  a:\n  {key}: {of}\n",
            f"5:3: '{key}' is to be indented below case 'a'",
        )
        for key, of in {"inputs": "{x: 3}", "expected": "{y: 9}", "train": "{epochs: 1}", "dtype": "float32"}.items()
    ),
    (MINIMAL + "titel: a\n", "3:1: unknown key 'titel'; did you mean 'title'?"),
    (MINIMAL + "case: {}\n", "3:1: unknown key 'case'; did you mean 'cases'?"),
    (MINIMAL + "source: {titel: a}\n", "3:10: unknown key 'titel'; did you mean 'title'?"),
    (
        "parameters: {W1: 2, W2: 3}\nequations: {y: W1 * W3}\n",
        "2:21: unknown name 'W3' in 'y'; did you mean 'W1' or 'W2'?",
    ),
    ("parameters: {W: 2}\nequations: {y: 2 * w}\n", "2:20: unknown name 'w' in 'y'; did you mean 'W'?"),
    (MINIMAL + "expected: {dy/dx: 4}\n", "3:12: 'dy/dx' divides one gradient by another; the gradient of 'x' is 'dx'"),
    (MINIMAL + "expected: {dy_dx: 4}\n", "3:12: unknown name 'dy_dx'; the gradient of 'x' is 'dx'"),
    (MINIMAL + "expected: {grad_x: 4}\n", "3:12: unknown name 'grad_x'; the gradient of 'x' is 'dx'"),
    (
        MINIMAL + "train: {lr: 0.1}\n",
        "3:9: unknown key 'lr'; it stands in 'optimizer', as in {name: sgd, lr: 0.1}",
    ),
    (MINIMAL + "source: Knuth\n", "3:9: a mapping is needed here, not 'Knuth', as in {title: ..., url: ...}"),
    (MINIMAL + "title: [a]\n", "3:8: a text is needed here, not a list"),
    (MINIMAL + "title:\n", "3:7: a text is missing"),
    (MINIMAL + "stages: [relu]\n", f"3:1: unknown key 'stages'; known are {KNOWN}, title, source, cases"),
    (
        "inputs: [1]\nequations: {y: x}\n",
        "1:9: a mapping is needed here, not a list; write 'name: value', without '-' and brackets",
    ),
    (
        "inputs: {2x: 1}\nequations: {y: 1}\n",
        "1:10: '2x' is not a name: letters, digits and '_', beginning with a letter; write x2",
    ),
    ("inputs: {_x: 1}\nequations: {y: 1}\n", "1:10: a name does not begin with '_', as '_x' does"),
    (
        "inputs: {lambda: 1}\nequations: {y: 1}\n",
        "1:10: 'lambda' is a word of Python and cannot be a name; write lambda_",
    ),
    ("inputs: {x: 1}\nequations: {x: 1}\n", "2:13: 'x' is an input (line 1) and cannot be an equation too"),
    (
        "inputs: {x: 1}\nparameters: {x: 1}\nequations: {y: x}\n",
        "2:14: 'x' is an input (line 1) and cannot be a parameter too",
    ),
    *(
        (text, f"{place}: 'upstream' is reserved: it means the gradient of the last equation")
        for text, place in (
            ("inputs: {upstream: 3, w: 1}\nequations: {y: w * upstream}\n", "1:10"),
            ("parameters: {upstream: [3]}\nequations: {y: upstream}\nupstream: upstream\n", "1:14"),
            ("inputs: {w: 1}\nequations: {upstream: 3 * w, y: 2 * upstream}\n", "2:13"),
            ("inputs: {w: 1}\nequations: {y: w}\ncases: {c: {inputs: {upstream: 3}}}\n", "3:22"),
        )
    ),
    ("inputs: {x: 1, dx: 2}\nequations: {y: x}\n", "1:16: 'dx' is reserved: it means the gradient of 'x'"),
    (
        "inputs: {x: [1], dy: [2]}\nequations: {y: x}\nupstream: dy\n",
        "1:18: 'dy' is reserved: it means the gradient of 'y'; what is given of it is the 'upstream'",
    ),
    ("inputs: {x: 1}\nequations:\n  dy: x\n  y: dy\n", "3:3: 'dy' is reserved: it means the gradient of 'y'"),
    (
        "parameters: {w: 1}\ninputs: {central_w: 2}\nequations: {y: w}\n",
        "2:10: 'central_w' is reserved: it means the central difference of 'w'",
    ),
    ("inputs: {µ: 1, μ: 2}\nequations: {y: 1}\n", "1:16: the key 'μ' is given twice; the first stands on line 1"),
    ("inputs: {x: 2}\n", "1:1: an experiment needs equations"),
    ("equations: {y: 1}\n", "1:1: an experiment needs inputs or parameters"),
    ("inputs: {x: 2}\nequations: {}\n", "1:1: an experiment needs equations"),
    ("inputs: {x: 2}\nequations:\n", "1:1: an experiment needs equations"),
    (
        "inputs: {weights: 1}\nequations:\n  h: weigths * 2\n",
        "3:6: unknown name 'weigths' in 'h'; did you mean 'weights'?",
    ),
    ("inputs: {x: 1}\nequations:\n  h: z1 + x\n  z1: x\n", "3:6: 'h' reads 'z1', which is defined later, on line 4"),
    ("inputs: {x: 1}\nequations:\n  z: x + z\n", "3:10: 'z' reads itself"),
    ("inputs: {x: 1}\nequations:\n  a: x + b\n  b: a + x\n", "3:10: 'a' reads 'b', which is defined later, on line 4"),
    ("inputs: {x: 1}\nequations:\n  y: x +* 2\n", "3:9: not an expression: invalid syntax near '* 2'"),
    (
        'inputs: {x: 1}\nequations:\n  y: "x + blub(x)"\n',
        "3:11: unknown function 'blub'; mathlab guide language lists what there is",
    ),
    (
        "inputs: {x: 1}\nequations:\n  y: |\n    x + q\n",
        "4:9: unknown name 'q' in 'y'; what it stands for is given in inputs or parameters",
    ),
    ("inputs: {x: 1}\nequations:\n  y: [x, x]\n", "3:6: an expression is needed here, not a list; put it in quotes"),
    ("inputs: {x: 1}\nequations:\n  y:\n", "3:5: an expression is missing"),
    ("inputs: {x: 1}\nequations:\n  y: y = x\n", "3:8: not an expression: write only what stands to the right of '='"),
    (
        "inputs: {x: 1}\nequations:\n  y: jacobian(x, x)\n",
        "3:6: jacobian can be expected, but it is not a function for equations",
    ),
    (
        "inputs: {x: 1}\nequations:\n  y: __import__('os')\n",
        "3:17: 'os' is not a number; only einsum reads a text, before its arrays",
    ),
]

# what stands for `x` in `inputs: {x: ...}`
VALUES = [
    ("1, x: 2", "1:16: the key 'x' is given twice; the first stands on line 1"),
    ("true", "1:13: a number is needed here, not 'true'; in a mask, true is 1 and false is 0"),
    ("'2'", "1:14: a number is needed here, not '2', which stands in quotes"),
    ("yes", "1:13: a number is needed here, not 'yes'; in a mask, true is 1 and false is 0"),
    ("null", "1:13: a number is needed here, not 'null'; what has no value is left out"),
    ("", "1:13: a number is missing"),
    ("0x10", "1:13: a number is needed here, not '0x10'; write it in decimal digits"),
    ("012", "1:13: a number is needed here, not '012'; write it without the zero in front, which says nothing"),
    ("1_000", "1:13: a number is needed here, not '1_000'; digits stand without separators"),
    ("1:30", "1:13: a number is needed here, not '1:30'; a range would be written out, as in [1, 2, 3]"),
    (".nan", "1:13: a number is needed here, not '.nan'; it is to be finite"),
    ("-.inf", "1:13: a number is needed here, not '-.inf'; it is to be finite"),
    ("[1, nan]", "1:17: a number is needed here, not 'nan'; it is to be finite"),
    ("Infinity", "1:13: a number is needed here, not 'Infinity'; it is to be finite"),
    ("1e999", "1:13: a number must be finite, and '1e999' is too large for float64"),
    ("1e-999", "1:13: '1e-999' is too small for float64"),
    ("−0.5", "1:13: a number is needed here, not '−0.5'; a minus sign is written '-'"),
    ("[[1, 2, 3], [4, 5]]", "1:25: this row has 2 entries, the first has 3"),
    ("[1, [2, 3]]", "1:17: a number is needed here, not a list"),
    ("[[1, 2], 3]", "1:22: a list of 2 entries is needed here, as at the first place, not '3'"),
    ("[]", "1:13: an empty list holds no numbers"),
    ("[[1], []]", "1:19: an empty list holds no numbers"),
    (
        "[1, two, true]",
        "1:17: a number is needed here, not 'two'; write 2\n"
        "1:22: a number is needed here, not 'true'; in a mask, true is 1 and false is 0",
    ),
    (
        "{value: 1}",
        "1:13: a mapping that is a value says either 'init' or 'file', "
        "as in {init: normal, shape: [2, 3], seed: 0} and {file: w.csv}",
    ),
    ("{init: hee, shape: [2]}", "1:20: unknown init 'hee'; did you mean 'he'?"),
    ("{init: he}", "1:13: 'shape' is missing"),
    ("{init: he, shape: []}", "1:31: a shape has at least one axis"),
    ("{init: he, shape: [2, 0]}", "1:35: a number of at least 1 is needed here, not 0"),
    ("{init: he, shape: [2.5]}", "1:32: a whole number is needed here, not '2.5'"),
    ("{init: he, shape: [100000, 100000]}", "1:31: an array of 10000000000 entries is too large"),
    ("{init: he, shape: 2, low: 1}", "1:34: he has no setting 'low'; it has fan_in"),
    ("{init: zeros, shape: 2, std: 1}", "1:37: zeros has no setting 'std'"),
    ("{init: constant, shape: 2}", "1:13: constant needs its setting 'value'"),
    ("{init: uniform, shape: 2, low: 2}", "1:13: low (2) is above high (1)"),
    ("{init: normal, shape: 2, sed: 0}", "1:38: unknown key 'sed'; did you mean 'seed' or 'std'?"),
    ("{init: normal, shape: 2, seed: -1}", "1:44: a number of at least 0 is needed here, not -1"),
    ("{init: normal, shape: 200, std: 1e308}", "1:13: these initial values are not finite"),
]

# the same, with data files beside the config
FILES = [
    ("{file: no.csv}", "1:20: the file 'no.csv' does not exist"),
    ("{file: row.csv}", "1:20: the file 'row.csv' does not exist; did you mean 'rows.csv'?"),
    ("{file: /etc/passwd.csv}", "1:20: a data file is named relative to the config, not as '/etc/passwd.csv'"),
    ("{file: ../up.csv}", "1:20: '../up.csv' lies outside the folder of the config; --allow-files permits another one"),
    ("{file: a.dat}", "1:20: a data file is a .csv, .txt, .npy or .npz file"),
    ("{file: good.csv, columns: [c]}", "1:20: good.csv has no column 'c'; it has a, b"),
    ("{file: good.csv, columns: []}", "1:39: no column is named"),
    ("{file: good.csv, array: c}", "1:30: 'array' has no meaning for a .csv file"),
    ("{file: words.csv}", "1:20: row 2 in column 'b' of words.csv is 'four', which is not a finite number"),
    ("{file: gaps.csv}", "1:20: row 2 in column 'b' of gaps.csv is empty or NaN"),
    ("{file: empty.csv}", "1:20: empty.csv has no rows"),
    ("{file: rows.csv}", "1:20: rows.csv has no rows"),
    ("{file: long.csv}", "1:20: row 1 of long.csv is longer than its first line, 'a,b'"),
    ("{file: two.npz}", "1:20: two.npz holds 2 arrays (a, b); choose one with 'array'"),
    ("{file: two.npz, array: c}", "1:20: two.npz has no array 'c'"),
    ("{file: circle.csv}", "1:20: 'circle.csv' is a link that leads to no file"),
    ("{file: folder.csv}", "1:20: the file 'folder.csv' is a folder"),
    (
        "{file: signs.csv}",
        "1:20: row 1 in column 'a;b' of signs.csv is '1;2', which is not a finite number; "
        "its columns are parted by ';', and are to be by ','",
    ),
    (
        "{file: objects.npy}",
        "1:20: objects.npy is not a NumPy file of numbers; it holds pickled objects, which are not read",
    ),
    ("{file: nan.npy}", "1:20: nan.npy holds a number that is not finite"),
    ("{file: text.npy}", "1:20: text.npy does not hold an array of real numbers"),
    ("{file: junk.npy}", "1:20: junk.npy is not a NumPy file of numbers"),
    ("{file: good.npy, header: true}", "1:30: 'header' has no meaning for a .npy file"),
    ("{file: good.csv, header: 1}", "1:38: true or false is needed here, not '1'"),
    ("{file: link.csv}", "1:20: 'link.csv' lies outside the folder of the config; --allow-files permits another one"),
    ('{file: "a\\0.csv"}', "1:21: 'a\\x00.csv' cannot be the name of a file"),
    (f"{{file: {'a' * 300}.csv}}", f"1:20: '{'a' * 300}.csv' cannot be the name of a file"),
]

# figures, derivations, the gradient check and cases
FIGURES = [
    (MINIMAL + "expected: {}\n", "3:11: this mapping has no entries"),
    (MINIMAL + "expected:\n", "3:10: this mapping has no entries"),
    (MINIMAL + "expected: {y: 4}\nderivation: {}\n", "4:13: this mapping has no entries"),
    (MINIMAL + "expected: {y: 4}\nderivation:\n", "4:12: this mapping has no entries"),
    (MINIMAL + "expected: {z: 1}\n", "3:12: unknown name 'z'; there are x, y, dx, dy, pi, e, inf"),
    (MINIMAL + "expected: {dx: 1, dq: 2}\n", "3:19: unknown name 'dq'; there are x, y, dx, dy, pi, e, inf"),
    (MINIMAL + "expected: {norm(dyy): 1}\n", "3:17: unknown name 'dyy' in 'norm(dyy)'; did you mean 'dy'?"),
    (MINIMAL + "expected: {3: 1}\n", "3:12: '3' names nothing to compare with"),
    (MINIMAL + "expected: {y: '4'}\n", "3:16: a number is needed here, not '4', which stands in quotes"),
    (MINIMAL + "expected: {y: }\n", "3:15: a number is missing"),
    (MINIMAL + "expected: {y: [[1, 2], [3]]}\n", "3:24: this row has 1 entry, the first has 2"),
    (
        MINIMAL + "expected: {y: {print: 4}}\n",
        "3:15: 'printed' is missing\n3:16: unknown key 'print'; did you mean 'printed'?",
    ),
    (MINIMAL + "expected: {y: {at: here}}\n", "3:15: 'printed' is missing"),
    (MINIMAL + "expected: {y: [{printed: 4}, 5]}\n", "3:30: a mapping is needed here, not '5'"),
    (MINIMAL + "expected: {y: []}\n", "3:15: an empty list holds no numbers"),
    (
        MINIMAL + "expected: {y: {printed: 4, digits: 3}}\n",
        "3:36: 'digits' needs a 'because' that says why fewer are compared",
    ),
    (
        MINIMAL + "expected: {y: {printed: 4, digits: 18, because: x}}\n",
        "3:36: float64 has no more than 17 digits to compare",
    ),
    (
        MINIMAL + "expected: {y: {printed: 4, digits: 0, because: x}}\n",
        "3:36: a number of at least 1 is needed here, not 0",
    ),
    (
        MINIMAL + "expected: {y: {printed: 4, rounding: up}}\n",
        "3:38: unknown rounding 'up'; known are nearest, truncate",
    ),
    (MINIMAL + "expected: {y: {printed: 4, erratum: ''}}\n", "3:38: a text is missing"),
    (MINIMAL + "expected: {y: {printed: 4, at: [1]}}\n", "3:32: a text is needed here, not a list"),
    (MINIMAL + "expected: {central_x: 4}\n", "3:12: unknown name 'central_x'; there are x, y, dx, dy, pi, e, inf"),
    (MINIMAL + 'expected: {"y[": 4}\n', "3:14: not an expression: '[' was never closed near '['"),
    (MINIMAL + "expected: {jacobian(y): 4}\n", "3:12: jacobian needs its argument 'x'"),
    (
        MINIMAL + 'expected: {"jacobian(y, q)": 4}\n',
        "3:25: unknown name 'q' in 'jacobian(y, q)'; there are x, y, dx, dy, pi, e, inf",
    ),
    (
        MINIMAL + "derivation: {y: 2}\n",
        "3:14: a derivation gives the gradient d<name> of a name, and 'y' is none; did you mean 'dy'?",
    ),
    (
        MINIMAL + "derivation: {'dx[0]': 2}\n",
        "3:15: a derivation gives the gradient d<name> of a name, and 'dx0' is none; "
        "dx is given whole, not by its entries",
    ),
    (MINIMAL + "derivation: {dz: 2}\n", "3:14: a derivation gives the gradient d<name> of a name, and 'dz' is none"),
    (MINIMAL + "derivation: {dx: q}\n", "3:18: unknown name 'q'; there are x, y, dx, dy, pi, e, inf"),
    (MINIMAL + "derivation: {dx: dx}\n", "3:18: the formula for 'dx' reads 'dx' itself"),
    (MINIMAL + "gradcheck: {steps: 1}\n", "3:13: unknown key 'steps'; did you mean 'step'?"),
    (MINIMAL + "gradcheck: {step: 0}\n", "3:19: a number above 0 is needed here, not 0"),
    (MINIMAL + "gradcheck: {rtol: true}\n", "3:19: a number is needed here, not 'true', as in 0.1"),
    (MINIMAL + "gradcheck: {expected: {}}\n", "3:23: this mapping has no entries"),
    (
        MINIMAL + "gradcheck: {expected: {central_w: 1}}\n",
        "3:24: unknown name 'central_w'; there are x, y, dx, dy, pi, e, inf",
    ),
    (MINIMAL + "gradcheck: 3\n", "3:12: a mapping is needed here, not '3', as in gradcheck: {}"),
    (MINIMAL + "upstream: [1, x]\n", "3:15: a number is needed here, not 'x'"),
    (MINIMAL + "dtype: float46\n", "3:8: unknown dtype 'float46'; did you mean 'float64'?"),
    (MINIMAL + "dtype: int8\n", "3:8: unknown dtype 'int8'; known are float64, float32"),
    (MINIMAL + "cases: {}\n", "3:8: this mapping has no entries"),
    (
        MINIMAL + "cases: {a: {inputs: {x: a}}, b: {expectd: {}}}\n",
        "3:25: a number is needed here, not 'a'\n3:34: unknown key 'expectd'; did you mean 'expected'?",
    ),
    (MINIMAL + "cases: {a: {title: b}}\n", f"3:13: unknown key 'title'; known are {KNOWN}"),
    (
        MINIMAL + "expected: {y: 4}\ncases: {base: {expected: {y: 4}}}\n",
        "4:9: a case cannot be called 'base' beside figures at the top level, which are those of 'base'",
    ),
    (MINIMAL + "cases: {a: 3}\n", "3:12: a mapping is needed here, not '3'"),
    (
        MINIMAL + "cases: {a: {equations: {z: w}}, b: {equations: {z: w}}}\n",
        f"3:28: unknown name 'w' in 'z'{GIVEN}\n3:52: unknown name 'w' in 'z'{GIVEN}",
    ),
    (
        "inputs: {X: [1, 2, 3, 4, 5], T: [1, 2]}\nparameters: {w: 1}\nequations: {y: w}\n"
        "train: {optimizer: {name: adam}, epochs: 1, batch_size: 2, over: [X, T]}\n",
        "4:66: the inputs that 'over' names have different numbers of samples: 5 of 'X', 2 of 'T'",
    ),
    (
        "inputs: {X: [1, 2, 3, 4, 5]}\nparameters: {w: 1}\nequations: {y: w}\n"
        "train: {optimizer: {name: adam}, epochs: 2, batch_size: 2, over: [X], after: {7: {w: 1}}}\n",
        "4:79: training makes 6 updates and never comes to 7",
    ),
]

# what stands under `train:`
TRAINING = [
    (
        "epochs: 2\n",
        f"4:1: train needs an optimizer with a 'name': {', '.join(SETTINGS)}",
    ),
    ("optimizer: {name: sgd, lr: 1}\n", "4:1: train needs its 'epochs'"),
    ("optimizer: {name: sgdd, lr: 1}\n  epochs: 1\n", "5:21: unknown optimizer 'sgdd'; did you mean 'sgd'?"),
    ("optimizer: {name: sgd}\n  epochs: 1\n", "5:21: sgd needs its setting 'lr'"),
    (
        "optimizer: {name: sgd, lr: fast}\n  epochs: 1\n",
        "5:30: a number is needed here, not 'fast', as in 0.1; what changes reads t and epoch, which count from 1",
    ),
    (
        "optimizer: {name: sgd, lr: 1, momentum: 0.9}\n  epochs: 1\n",
        "5:33: sgd has no setting 'momentum'; that is the optimizer 'momentum'",
    ),
    ("optimizer: {name: adam, bta1: 1}\n  epochs: 1\n", "5:27: adam has no setting 'bta1'; did you mean 'beta1'?"),
    (
        "optimizer: {name: 1}\n  epochs: 1\n",
        f"5:21: unknown optimizer '1'; known are {', '.join(SETTINGS)}",
    ),
    ("optimizer: sgd\n  epochs: 1\n", "5:14: a mapping is needed here, not 'sgd', as in {name: sgd, lr: 0.1}"),
    (
        "optimizer: {lr: 1}\n  epochs: 1\n",
        f"5:14: train needs an optimizer with a 'name': {', '.join(SETTINGS)}",
    ),
    ("optimizer: {name: adam}\n  epochs: -1\n", "6:11: a number of at least 0 is needed here, not -1"),
    ("optimizer: {name: adam}\n  epochs: 1.5\n", "6:11: a whole number is needed here, not '1.5'"),
    (
        "optimizer: {name: adam}\n  epochs: 1\n  batch_size: 2\n",
        "7:3: 'batch_size' needs 'over': the inputs that are batched",
    ),
    (
        "optimizer: {name: adam}\n  epochs: 1\n  over: [x]\n",
        "7:10: 'over' names 'x', which is a single number\n7:10: 'over' needs a 'batch_size'",
    ),
    (
        "optimizer: {name: adam}\n  epochs: 1\n  over: [x]\n  batch_size: 1\n",
        "7:10: 'over' names 'x', which is a single number",
    ),
    (
        "optimizer: {name: adam}\n  epochs: 1\n  over: [w]\n  batch_size: 1\n",
        "7:10: 'over' names 'w', which is not an input",
    ),
    (
        "optimizer: {name: adam}\n  epochs: 1\n  batch_size: 0\n  over: []\n",
        "7:15: a number of at least 1 is needed here, not 0\n8:9: an empty list names nothing",
    ),
    ("optimizer: {name: adam}\n  epochs: 1\n  freeze: [x]\n", "7:12: 'freeze' names 'x', which is not a parameter"),
    (
        "optimizer: {name: adam}\n  epochs: 1\n  freeze: ww\n",
        "7:11: 'freeze' names 'ww', which is not a parameter; did you mean 'w'?",
    ),
    (
        "optimizer: {name: adam}\n  epochs: 3\n  after: {4: {w: 1}}\n",
        "7:11: training makes 3 updates and never comes to 4",
    ),
    ("optimizer: {name: adam}\n  epochs: 3\n  after: {}\n", "7:10: this mapping has no entries"),
    ("optimizer: {name: adam}\n  epochs: 3\n  after: {1: {}}\n", "7:14: this mapping has no entries"),
    (
        "optimizer: {name: adam}\n  epochs: 3\n  after: {-1: {w: 1}}\n",
        "7:11: a number of at least 0 is needed here, not -1",
    ),
    (
        "optimizer: {name: adam}\n  epochs: 3\n  after: {one: {w: 1}}\n",
        "7:11: a number is needed here, not 'one'; write 1",
    ),
    (
        "optimizer: {name: adam}\n  epochs: 3\n  after: {1: {q: 1}}\n",
        "7:15: unknown name 'q'; there are x, w, y, dx, dw, dy, pi, e, ...",
    ),
    ("optimizer: {name: adam}\n  epoch: 3\n", "6:3: unknown key 'epoch'; did you mean 'epochs'?"),
    ("optimizer: {name: adam}\n  epochs: 3\n  seed: x\n", "7:9: a number is needed here, not 'x', as in 10"),
]

NESTED = [
    ("a: " + "[" * 70 + "]" * 70, "1:67: the config is nested more than 64 levels deep"),
    ("[" * 100_000, "1:65: the config is nested more than 64 levels deep"),
    ("a: 1\nb:\n  " + "[{x: " * 100_000, "3:159: the config is nested more than 64 levels deep"),
    ("- é\n- " + "[" * 900 + "\n" + "{" * 900, "2:66: the config is nested more than 64 levels deep"),
    ("- " * 100_000, "1:129: the config is nested more than 64 levels deep"),
    (MINIMAL + "title: " + "{a: " * 3000, "3:260: the config is nested more than 64 levels deep"),
]


def problems(path: Path) -> str:
    """What is wrong with a file, one problem a line, without the name of the file and the words of the YAML library."""
    with pytest.raises(MathlabError) as caught:
        load(path)
    told = "\n".join(str(problem).removeprefix(f"{path}:") for problem in caught.value.problems)
    return re.sub(r"(this is not YAML): [^;\n]+", r"\1", told)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with data files, some of them broken, and others outside it."""
    (tmp_path / "up.csv").write_text("a\n1\n")
    inside = tmp_path / "inside"
    inside.mkdir()
    texts = {
        "good.csv": "a,b\n1,2\n3,4\n",
        "words.csv": "a,b\n1,2\n3,four\n",
        "gaps.csv": "a,b\n1,2\n3,\n",
        "empty.csv": "",
        "rows.csv": "a,b\n",
        "long.csv": "a,b\n1,2,3\n",
        "junk.npy": "junk",
    }
    for name, text in texts.items():
        (inside / name).write_text(text)
    (inside / "link.csv").symlink_to("../up.csv")
    (inside / "circle.csv").symlink_to("circle.csv")
    (inside / "folder.csv").mkdir()
    (inside / "signs.csv").write_text("a;b\n1;2\n")
    np.savez(inside / "two.npz", a=[1], b=[2])
    np.save(inside / "objects.npy", np.array([{}], dtype=object))
    np.save(inside / "nan.npy", [1, np.nan])
    np.save(inside / "text.npy", ["a"])
    np.save(inside / "good.npy", [1, 2])
    return inside


@pytest.mark.parametrize(("text", "expected"), YAML + LINES + FOLLOWING + ALONE + NAMES + FIGURES + NESTED)
def test_problem(tmp_path: Path, text: str, expected: str) -> None:
    config = tmp_path / "c.yaml"
    config.write_text(text, encoding="utf-8")
    assert problems(config) == expected


@pytest.mark.parametrize(("value", "expected"), VALUES)
def test_problem_with_a_value(tmp_path: Path, value: str, expected: str) -> None:
    config = tmp_path / "c.yaml"
    config.write_text(f"inputs: {{x: {value}}}\nequations: {{y: x}}\n", encoding="utf-8")
    assert problems(config) == expected


@pytest.mark.parametrize(("value", "expected"), FILES)
def test_problem_with_a_data_file(folder: Path, value: str, expected: str) -> None:
    config = folder / "c.yaml"
    config.write_text(f"inputs: {{x: {value}}}\nequations: {{y: x}}\n", encoding="utf-8")
    assert problems(config) == expected


@pytest.mark.parametrize(("train", "expected"), TRAINING)
def test_problem_with_training(tmp_path: Path, train: str, expected: str) -> None:
    config = tmp_path / "c.yaml"
    config.write_text(f"{MINIMAL}parameters: {{w: 1}}\ntrain:\n  {train}", encoding="utf-8")
    assert problems(config) == expected


def test_every_problem_is_told_once_and_in_order(tmp_path: Path) -> None:
    config = tmp_path / "c.yaml"
    config.write_text(
        "titel: a\ninputs: {x: nan, weights: true}\nparameters: {w: [[1, 2], [3]]}\nequations:\n  h: weigths * x\n"
        "  y: h +* 2\n"
        "  z: y + q\n  e: z\nexpected: {dee: 1}\n"
        "cases:\n  a: {expected: {e: yes}}\n  b: {expectd: {}, train: {epochs: -1}}\n"
    )
    assert problems(config).split("\n") == [
        "1:1: unknown key 'titel'; did you mean 'title'?",
        "2:13: a number is needed here, not 'nan'; it is to be finite",
        "2:27: a number is needed here, not 'true'; in a mask, true is 1 and false is 0",
        "3:26: this row has 1 entry, the first has 2",
        "5:6: unknown name 'weigths' in 'h'; did you mean 'weights'?",
        "6:9: not an expression: invalid syntax near '* 2'",
        "7:10: unknown name 'q' in 'z'; what it stands for is given in inputs or parameters",
        "9:12: unknown name 'dee'; did you mean 'de'?",
        "11:21: a number is needed here, not 'yes'; in a mask, true is 1 and false is 0",
        "12:7: unknown key 'expectd'; did you mean 'expected'?",
        "12:36: a number of at least 0 is needed here, not -1",
    ]


def test_an_alias_bomb_is_refused(tmp_path: Path) -> None:
    config = tmp_path / "c.yaml"
    levels = [f"l{i}: &l{i} [{', '.join([f'*l{i - 1}'] * 10)}]\n" for i in range(1, 30)]
    config.write_text("l0: &l0 [1, 1]\n" + "".join(levels))
    assert problems(config) == "6:20: the config holds more than 100000 entries; keep large arrays in a file"


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    config = tmp_path / "c.yaml"
    assert problems(config) == f"the config {config} does not exist"
    assert problems(tmp_path) == f"the config {tmp_path} is a folder"
    (link := tmp_path / "link.yaml").symlink_to("link.yaml")
    with pytest.raises(MathlabError, match=r"link.yaml is a link that leads to no file$"):
        find(link)
    config.write_bytes(b"title: a\nsource: {note: \xc3\xa9 \xff}\n")
    assert problems(config) == "2:18: the config is not UTF-8: it has the byte 0xff here; save it as UTF-8"
    config.write_bytes(MINIMAL.encode("utf-16"))
    assert problems(config) == "1:1: the config is not UTF-8: it has the byte 0xff here; save it as UTF-8"


def test_folders_without_configs(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").touch()
    (tmp_path / ".hidden.yaml").touch()
    with pytest.raises(MathlabError, match=r"holds no config \(\*\.yaml, \*\.yml\)$"):
        find(tmp_path)
    with pytest.raises(MathlabError, match=r"missing does not exist$"):
        find(tmp_path / "missing")


def test_a_key_given_twice_hides_no_unknown_key_below_it() -> None:
    text = MINIMAL + "inputs: {y: 3}\nk9: 1\n"
    with pytest.raises(MathlabError) as caught:
        described(text.encode(), "c.yaml")
    said = [problem.message.partition(";")[0] for problem in caught.value.problems]
    assert said == ["the key 'inputs' is given twice", "unknown key 'k9'"]
