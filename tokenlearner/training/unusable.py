"""Photos that a run has to do without: counted, named, limited, over all processes and sessions."""

from typing import Any

from tokenlearner.errors import DataError
from tokenlearner.training.data import LabelledClips, LabelledImages
from tokenlearner.training.distributed import gather

_FEW = 3


class Unusable:
    """Photos that turned out to be unusable in training, and how many may be.

    Args:
        data: All that the run was given; what was left out of it counts as well.
        heldout: Why held-out photos were left out.

    Attributes:
        reasons: Why a photo was replaced by another one, by its row in the training data. Of all
            processes since the last `share`, of this one up to now.

    Raises:
        DataError: If there are too many already.
    """

    def __init__(self, data: LabelledImages | LabelledClips, heldout: tuple[str, ...]) -> None:
        self.reasons: dict[int, str] = {}
        self._before = (*data.unusable, *heldout)
        self._total = len(data) + len(data.unusable)
        self._most = data.max_unusable * self._total
        self._things = data.things
        self._num_told = 0
        self._limit()

    def note(self, reasons: dict[int, str]) -> None:
        """Adds what this process found.

        Raises:
            DataError: If these are too many, whatever the other processes have found.
        """
        if reasons:
            self.reasons |= reasons
            self._limit()

    def share(self) -> None:
        """Makes what any process found known to all; they have to call it together.

        Raises:
            DataError: In all of them, if these are too many.
        """
        found = [item for reasons in gather(self.reasons) for item in reasons.items()]
        self.reasons = dict(sorted(found))
        self._limit()

    def news(self) -> str:
        """Says how many there are if that is more than it has said before; else nothing."""
        count = len(self.reasons)
        if count <= self._num_told:
            return ""
        new = list(self.reasons.values())[:_FEW]
        self._num_told = count
        more = f"; and {count - _FEW:,} more" if count > _FEW else ""
        what = f"{self._things[:-1]} was" if count == 1 else f"{self._things} were"
        return f"{count:,} unusable training {what} replaced so far: {'; '.join(new)}{more}"

    def state_dict(self) -> dict[str, Any]:
        """Returns what `load_state_dict` takes, in whatever process, after `share`."""
        return {"reasons": self.reasons, "num_told": self._num_told}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Takes up what `state_dict` returned.

        Raises:
            DataError: If these are too many for the limit as it is now.
        """
        self.reasons = dict(state["reasons"])
        self._num_told = state["num_told"]
        self._limit()

    def _limit(self) -> None:
        found = (*self._before, *self.reasons.values())
        if len(found) > self._most:
            raise DataError(
                f"{len(found):,} of {self._total:,} training {self._things} cannot be used, more "
                "than max_unusable (--max-unusable in the shell) allows; get complete copies of "
                f"them: {'; '.join(found[:_FEW])}"
            )
