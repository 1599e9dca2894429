"""`python -m mathlab`, and the `mathlab` script."""

import gc
import sys


def main() -> None:
    """The entry point: the command line, or 130 after Ctrl-C, which may come while it is still being imported."""
    # Importing makes objects that stay; looking for garbage among them every 700 of them costs a tenth of the start-up.
    gc.set_threshold(100_000, 50, 50)
    try:
        from mathlab.cli import main as command

        command()
    except KeyboardInterrupt:
        sys.exit(130)
    finally:
        gc.freeze()  # nor is it looked for at the end, when the system takes the memory back anyway


if __name__ == "__main__":
    main()
