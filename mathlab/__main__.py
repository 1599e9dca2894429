"""`python -m mathlab`."""

from mathlab.cli import main

if __name__ == "__main__":
    main()
