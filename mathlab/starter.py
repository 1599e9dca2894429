"""A first experiment, to be changed into somebody's own."""

from __future__ import annotations

from pathlib import Path

from mathlab.errors import MathlabError

TEMPLATE = Path(__file__).with_suffix(".yaml")


def start(name: str) -> Path:
    """Write the starter experiment to NAME.yaml (NAME may say so itself); the path of the file.

    Raises MathlabError when there is one already, or where it cannot be written.
    """
    if not Path(name).name.removesuffix(".yaml").strip(". ") or not name.isprintable():
        raise MathlabError(f"an experiment needs a name, and {name!r} is none")
    path = Path(name if name.endswith((".yaml", ".yml")) else f"{name}.yaml")
    text = TEMPLATE.read_text(encoding="utf-8").replace("NAME.yaml", str(path)).replace("NAME", path.stem)
    made = False
    try:
        with path.open("x", encoding="utf-8", newline="\n") as file:
            made = True
            file.write(text)
    except FileExistsError:
        raise MathlabError(f"{path} exists already, and is left as it is") from None
    except OSError as error:
        if made:
            path.unlink(missing_ok=True)  # or the next try would find a part of it
        raise MathlabError(f"{path} cannot be written: {error.strerror or error}") from None
    return path
