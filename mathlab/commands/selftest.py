"""`mathlab selftest`."""

from __future__ import annotations

from mathlab import terminal
from mathlab.commands.options import FAIL, MATCH, TROUBLE, Cases, Files, Named, Permits, Quiet
from mathlab.errors import MathlabError


def selftest(files: Files = None, *, config: Named = None, quiet: Quiet = False, permits: Permits) -> int:
    """Plant wrong figures and faults, and tell what no run notices."""
    from mathlab.diagnosis import selftest
    from mathlab.reports import page

    results, refused = [], False
    for experiment in Cases(files, config).load(permits):
        try:
            results.append(selftest.run(experiment))
        except MathlabError as error:
            terminal.complain(error.problems)
            refused = True
    if any(result.figures + result.faults for result in results):
        terminal.console().print(page.selftest(results, quiet), crop=False)
    elif not refused:
        raise MathlabError("nothing was changed: no figure and no gradient is looked at here")
    return TROUBLE if refused else MATCH if selftest.passed(results) else FAIL
