"""`python -m mathlab`, and the `mathlab` script."""

import sys


def main() -> None:
    """The entry point: the command line, or 130 after Ctrl-C, which may come while it is still being imported."""
    try:
        from mathlab.cli import main as command

        command()
    except KeyboardInterrupt:
        sys.exit(130)


if __name__ == "__main__":
    main()
