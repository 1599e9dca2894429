"""`python -m mathlab`, and the `mathlab` script."""

import os
import sys

from mathlab.commands import BROKEN, INTERRUPTED, NO_MEMORY, TROUBLE, interrupted, out_of_memory


def main() -> None:
    """The entry point: the command line, or 130 after Ctrl-C, which may come while it is still being imported."""
    try:
        sys.unraisablehook = _dropped
        try:
            from mathlab.cli import main as command

            command()
        finally:
            import gc  # late, where Ctrl-C is no traceback
            import signal

            signal.signal(signal.SIGINT, signal.SIG_IGN)  # all is said; Python, as it ends, would die of it
            gc.freeze()  # and would look through all that is left for garbage, a quarter of the time of a small command
    except BaseException as error:
        if interrupted(error):
            sys.exit(INTERRUPTED)
        if not (out_of_memory(error) or isinstance(error, ImportError)):
            raise
        # what the command had no memory to say, or could not: not all of it could be imported
        words = NO_MEMORY if out_of_memory(error) else BROKEN.format(error)
        try:  # noqa: SIM105  # contextlib is one import more, in which Ctrl-C would be a traceback
            os.write(2, f"mathlab: {words}\n".encode())
        except OSError:  # there is nobody to tell
            pass
        sys.exit(TROUBLE)


def _dropped(dropped: "sys.UnraisableHookArgs") -> None:
    """Ctrl-C that came inside a callback of Python's own, say of an import, is one all the same."""
    if issubclass(dropped.exc_type, KeyboardInterrupt):
        os._exit(INTERRUPTED)
    if "ignored due to race condition" not in str(dropped.exc_value):  # Ctrl-C, just as it was switched off
        sys.__unraisablehook__(dropped)


if __name__ == "__main__":
    main()
