"""Which columns of a parquet file hold the photos and the labels, and what the labels mean."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from tokenlearner.errors import DataError

if TYPE_CHECKING:
    import pyarrow as pa


class Columns(NamedTuple):
    """The two columns that matter.

    Attributes:
        image: Name of the column of image files.
        label: Name of the column of class indices.
        multi_label: Whether a row holds a list of class indices.
        class_names: None where the file does not tell.
    """

    image: str
    label: str
    multi_label: bool
    class_names: tuple[str, ...] | None


def find_columns(
    schema: "pa.Schema", image_column: str | None, label_column: str | None, file: Path
) -> Columns:
    """Returns the columns named, or those that the features of `datasets` tell.

    Args:
        schema: Schema of the file.
        image_column: None for the one of the feature `Image`.
        label_column: None for the one of the feature `ClassLabel`, or of lists of these.
        file: For messages.

    Raises:
        DataError: If there is no such column, or no single one, or it holds something else.
    """
    import pyarrow as pa

    features = _features(schema)
    if not features and (image_column is None or label_column is None):
        raise DataError(
            f"{file.name} has no Hugging Face feature description in its schema that tells the "
            "image and the label column; name them (--image-column and --label-column in the "
            f"shell). It has {_describe(schema, features)}"
        )
    image = image_column or _find(features, ("Image",), "image", file)
    label = label_column or _find(features, ("ClassLabel", "list of ClassLabel"), "label", file)
    for name in (image, label):
        if name not in schema.names:
            raise DataError(
                f"{file.name} has no column {name!r}; it has {_describe(schema, features)}"
            )

    image_type = schema.field(image).type
    if pa.types.is_struct(image_type) and image_type.get_field_index("bytes") >= 0:
        image_type = image_type.field("bytes").type
    if not (pa.types.is_binary(image_type) or pa.types.is_large_binary(image_type)):
        raise DataError(
            f"{file.name}: the column {image!r} is of type {image_type}; wanted image files, as "
            "binary or in a struct with a field 'bytes'"
        )
    label_type = schema.field(label).type
    multi_label = pa.types.is_list(label_type) or pa.types.is_large_list(label_type)
    if not pa.types.is_integer(label_type.value_type if multi_label else label_type):
        raise DataError(
            f"{file.name}: the column {label!r} is of type {label_type}; wanted class indices: "
            "integers, or lists of them"
        )
    return Columns(image, label, multi_label, _class_names(features.get(label)))


def _features(schema: "pa.Schema") -> dict[str, Any]:
    try:
        return dict(json.loads((schema.metadata or {})[b"huggingface"])["info"]["features"])
    except (KeyError, TypeError, ValueError):
        return {}


def _kind(feature: Any) -> str:
    """Names a feature, in whichever way a release of `datasets` has written it down."""
    if isinstance(feature, list) and feature:
        return f"list of {_kind(feature[0])}"
    if not isinstance(feature, dict):
        return "unknown"
    if feature.get("_type") in ("Sequence", "List", "LargeList"):
        return f"list of {_kind(feature.get('feature'))}"
    return str(feature.get("_type", "unknown"))


def _class_names(feature: Any) -> tuple[str, ...] | None:
    if isinstance(feature, list) and feature:
        return _class_names(feature[0])
    if not isinstance(feature, dict):
        return None
    if "feature" in feature:
        return _class_names(feature["feature"])
    return tuple(feature["names"]) if feature.get("names") else None


def _find(features: dict[str, Any], kinds: tuple[str, ...], what: str, file: Path) -> str:
    for kind in kinds:
        columns = [name for name, feature in features.items() if _kind(feature) == kind]
        if len(columns) == 1:
            return columns[0]
        if columns:
            raise DataError(
                f"{file.name} has {len(columns)} {kind} columns, {', '.join(columns)}; name one "
                f"as the {what} column (--{what}-column in the shell)"
            )
    found = ", ".join(f"{name} ({_kind(feature)})" for name, feature in features.items())
    raise DataError(
        f"{file.name} has no {kinds[0]} column; it has {found}. Name one as the {what} column "
        f"(--{what}-column in the shell)"
    )


def _describe(schema: "pa.Schema", features: dict[str, Any]) -> str:
    return ", ".join(
        f"{field.name} ({_kind(features[field.name]) if field.name in features else field.type})"
        for field in schema
    )
