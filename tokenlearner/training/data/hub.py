"""Data sets on the Hugging Face Hub: what they are called, which files they have, fetching some."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from tokenlearner.errors import DataError

# Git allows no colon in a revision, and the Hub none in a name, so the first one is the border.
_NAME = re.compile(r"(?!.*\.\.)([\w-][\w.-]*/[\w.-]+)(?:@([^\s:]+))?(?::([^:]+))?")


@dataclass(frozen=True, slots=True)
class HubDataset:
    """A data set on the Hub, or one of its configurations.

    Attributes:
        repo_id: `owner/name`.
        revision: Branch, tag or commit; None for the main branch.
        configuration: Folder of the files, `.` for the outermost; None where there is only one.
    """

    repo_id: str
    revision: str | None = None
    configuration: str | None = None

    def __str__(self) -> str:
        revision = f"@{self.revision}" if self.revision else ""
        return f"{self.repo_id}{revision}" + (
            f":{self.configuration}" if self.configuration else ""
        )

    def named(self, configuration: str | None) -> "HubDataset":
        """Returns another configuration of it."""
        return replace(self, configuration=configuration)


def parse(text: str) -> HubDataset | None:
    """Takes `owner/name@REVISION:CONFIGURATION` apart; None if it is nothing of the kind.

    Examples:
        >>> parse("owner/birds@refs/convert/parquet:small").revision
        'refs/convert/parquet'
    """
    match = _NAME.fullmatch(text)
    return None if match is None else HubDataset(*match.groups())


def list_files(dataset: HubDataset) -> list[str] | None:
    """Returns the paths of all files of a data set; None where the Hub does not tell."""
    from huggingface_hub import HfApi

    try:
        return HfApi().list_repo_files(
            dataset.repo_id, repo_type="dataset", revision=dataset.revision
        )
    except Exception:  # offline, refused, unknown: `download` finds it in the cache or says why not
        return None


def download(dataset: HubDataset, patterns: Sequence[str]) -> Path:
    """Returns the local folder of a data set, with the files that match a pattern.

    Raises:
        DataError: If there is no such data set, or it is neither in the cache nor in reach.
    """
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import (
        GatedRepoError,
        HfHubHTTPError,
        HFValidationError,
        LocalEntryNotFoundError,
    )

    try:
        path = snapshot_download(
            dataset.repo_id,
            repo_type="dataset",
            revision=dataset.revision,
            allow_patterns=list(patterns),
        )
    except LocalEntryNotFoundError as error:
        raise DataError(
            f"there is no folder {dataset}, the data set is not in the local cache and the Hub "
            "cannot be reached; check the path, connect, or unset HF_HUB_OFFLINE"
        ) from error
    except GatedRepoError as error:
        raise DataError(
            f"the data set {dataset} requires that you accept its terms: do so on its page on the "
            "Hub, and log in with `hf auth login` or set HF_TOKEN"
        ) from error
    except (HfHubHTTPError, HFValidationError) as error:
        raise DataError(
            f"there is no folder {dataset}, and the Hub has no such data set, or none that you may "
            f"read (log in with `hf auth login` or set HF_TOKEN): {error}"
        ) from error
    return Path(path)
