"""The conventions of a text: what is only a matter of taste, and differs from course to course.

They are set in a network file, `style(transpose="T", layers="paren")`, or on the command line,
`--style transpose=T`; the command line wins. The alphabets follow them; formulas stay what they are.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields, replace

from symbp.errors import RequestError, nearest

CHOICES = {
    "delta": ("plus", "minus"),  # δ = ∂L/∂z or −∂L/∂z
    "gradient": ("partial", "nabla", "d"),  # ∂L/∂W, ∇_W L, dW
    "layers": ("subscript", "paren", "bracket"),  # W₁, W⁽¹⁾, W^[1]
    "transpose": ("top", "T", "prime"),  # Wᵀ in one of three ways
    "product": ("odot", "circ"),  # the elementwise product: ⊙ or ∘
    "bold": ("no", "yes"),  # vectors and matrices in bold
    "layout": ("denominator", "numerator"),  # ∂L/∂W as large as W, or as its transpose
}


@dataclass(frozen=True)
class Style:
    """One choice for each convention of CHOICES."""

    delta: str = "plus"
    gradient: str = "partial"
    layers: str = "subscript"
    transpose: str = "top"
    product: str = "odot"
    bold: str = "no"
    layout: str = "denominator"

    @classmethod
    def of(cls, *settings: Mapping[str, str]) -> Style:
        """The defaults, changed by each of the settings in turn.

        Raises RequestError for a convention or a choice that there is not, and for two that contradict."""
        found = cls()
        for given in settings:
            for name, value in given.items():
                _check(name, value)
                found = replace(found, **{name: value})
        if found.layout == "numerator" and found.gradient != "partial":
            written = {"nabla": "∇_W L", "d": "dW"}[found.gradient]
            raise RequestError(
                f"The style gradient={found.gradient} writes {written}, which is as large as W; "
                "layout=numerator is for gradients written as ∂L/∂W (gradient=partial)."
            )
        return found


USUAL = Style()


def _check(name: str, value: str) -> None:
    if name not in CHOICES:
        hint = nearest(name, CHOICES) or f"There are: {', '.join(CHOICES)}."
        raise RequestError(f"There is no convention '{name[:40]}' to set in a style. {hint}")
    if value not in CHOICES[name]:
        raise RequestError(f"The style {name} is one of {', '.join(CHOICES[name])}, not '{value[:40]}'.")


def read_styles(texts: Iterable[str]) -> dict[str, str]:
    """`layers=paren` as a setting.

    Raises RequestError where there is no `=`."""
    found: dict[str, str] = {}
    for text in texts:
        name, equals, value = text.partition("=")
        if not equals:
            raise RequestError(f"--style is written NAME=CHOICE, such as layers=paren, not '{text[:40]}'.")
        found[name.strip()] = value.strip()
    return found


assert {f.name for f in fields(Style)} == set(CHOICES)
