"""Why a number is wrong: mistakes that are often made are tried, and the one that gives the number is named.

A mistake is tried by making it: in the stated numbers themselves, or in the equations, which are rewritten, compiled
and run again. It is named only when it gives every digit of what was stated, and when that many digits cannot well be
an accident among as many mistakes as were tried. Nothing here runs for a case in which everything matches.

To be read in this order: `scene` holds what is to be explained, `worlds` computes it otherwise. `kinds.txt` is the
table of mistakes. Those in the equations are patterns, which `rewrite` reads, or functions in `rules` and `swaps`;
`slips` makes them at every place, `mistakes` in the order of how likely they are. `trials` are those outside of the
equations. `search` makes them one by one, in the equations as `unfold` writes them, `evidence` says which of them to
believe, and `explain` tells it.
"""

from mathlab.diagnosis.explain import Cause, Causes, causes, explained
from mathlab.diagnosis.mistakes import VARIANTS
from mathlab.diagnosis.scene import Scene, of_arrays

__all__ = ["VARIANTS", "Cause", "Causes", "Scene", "causes", "explained", "of_arrays"]
