"""The card of a model that nobody has measured."""

import json
from typing import Any

from tokenlearner.models.info import ModelInfo


def short_card(info: ModelInfo, place: str, *, takes: str = "image") -> str:
    """Returns the card of a model that nobody has measured: Markdown with the Hub's front matter.

    Args:
        info: What is known about the model.
        place: What `tokenlearner.load` finds it by.
        takes: `image` or `video`.
    """
    entries: dict[str, Any] = {
        "library_name": "tokenlearner",
        "pipeline_tag": f"{takes}-classification",
        "tags": ["tokenlearner", "attention-maps"],
    }
    lines = [f"{key}: {json.dumps(value)}" for key, value in entries.items()]
    article = "An" if takes == "image" else "A"
    about = [f"{article} {takes} classifier with {len(info.class_names):,} classes."]
    if info.provenance is not None:
        licence = info.provenance.weights_licence or "not stated"
        about.append(
            f"Trained on: {info.provenance.trained_on}. Licence of the weights: {licence}."
        )
    if info.warning:
        about.append(f"**{info.warning}**")
    call = 'explain(model, "photo.jpg")' if takes == "image" else 'explain_clip(model, "clip.mp4")'
    use = (
        "```python\nimport tokenlearner\n\n"
        f"model = tokenlearner.load({quoted(place)})\n"
        f"explanation = tokenlearner.{call}\n```"
    )
    front = "\n".join(["---", *lines, "---"])
    return "\n\n".join([front, f"# {info.name}", *about, use]) + "\n"


def quoted(place: str) -> str:
    """Returns a path as Python takes it, with double quotes."""
    return json.dumps(place, ensure_ascii=False)
