"""Names with a mark for each number: one template stands for a module or tensor of all layers (``model.layers.#.mlp.up_proj``)."""

from __future__ import annotations

import re

NUMBER = "#"
"""What stands for a number."""
EXPERTS = ".experts."
"""What lies inside of a layer's experts has this in its name."""
SINGLE_EXPERT = f"{EXPERTS}{NUMBER}."
"""What the templates of experts have that lie one by one."""
_IN_A_LIST = f".{NUMBER}."
_NUMBERS = re.compile(r"(?<=\.)\d+(?=\.|$)")


def template_of(name: str) -> str:
    """Return the template that a name belongs to."""
    return _NUMBERS.sub(NUMBER, name)


def stack_of(template: str) -> str:
    """Return the list that a template lies in an entry of; the whole of it where it lies in none."""
    return template.partition(_IN_A_LIST)[0]


def inside_layer(template: str) -> str:
    """Return what a template has behind the number of its layer, "" where it lies in no list."""
    return template.partition(_IN_A_LIST)[2]


def numbered(template: str, number: int) -> str:
    """Return a template with its first number filled in."""
    return template.replace(NUMBER, str(number), 1)
