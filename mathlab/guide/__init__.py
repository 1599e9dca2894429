"""The manual that travels with the package: a Markdown page for each topic."""

from __future__ import annotations

import re
from importlib.resources import files

from mathlab.errors import MathlabError, did_you_mean

SUFFIX = ".md"
TOLD = 3  # pages that tell most of what is no topic


def topics() -> dict[str, str]:
    """The topics in the order of their names, each with the title of its page."""
    pages = sorted(item.name for item in files(__name__).iterdir() if item.name.endswith(SUFFIX))
    return {name.removesuffix(SUFFIX): _text(name).partition("\n")[0].lstrip("# ") for name in pages}


def page(topic: str) -> str:
    """The page on a topic. Raises MathlabError for one that there is none on."""
    known = topics()
    if topic not in known:
        word = re.compile(rf"`[^`\n]*\b{re.escape(topic)}\b")
        told = {name: often for name in known if (often := len(word.findall(_text(name + SUFFIX))))}
        most = sorted(told, key=told.__getitem__, reverse=True)[:TOLD]
        hint = f"; it stands in {', '.join(most)}" if most else f"; there are {', '.join(known)}"
        raise MathlabError(f"the guide has no page on {topic!r}{did_you_mean(topic, known) or hint}")
    return _text(topic + SUFFIX)


def _text(name: str) -> str:
    return files(__name__).joinpath(name).read_text(encoding="utf-8")
