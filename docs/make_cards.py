"""Writes the cards of the shipped models anew: `python -m docs.make_cards`.

In the root of the project. Nothing is measured; the figures come from their `metrics.json`.
"""

from tokenlearner import zoo
from tokenlearner.storage import CARD_FILE
from tokenlearner.training.card import render_card


def make_card(name: str) -> str:
    """Returns the card of a shipped model."""
    return render_card(zoo.load(name), zoo.metrics(name), place=name)


def main() -> None:
    """Rewrites all of them."""
    for name in zoo.names():
        (zoo.folder(name) / CARD_FILE).write_text(make_card(name), encoding="utf-8")


if __name__ == "__main__":
    main()
