"""When to stop a distillation that has gone wrong, and what to say.

A loss that is not finite stops any run (see `train`). These faults are quieter: the run goes on for hours
and its checkpoints get worse.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from statistics import median

__all__ = ["Guard"]


@dataclass
class Guard:
    """Watches the numbers of each step; `check` names the cause once a fault has lasted.

    - The KL explodes: above `factor` times its running median for `spike` steps on end. One step may: a
      single sample that the teacher finds impossible can cost more than all others together. Steps
      above do not enter the median.
    - The std ratio lies outside `ratio` for `patience` steps on end: a whisper, or an overload.
    - The student's scale is at or below the teacher's floor in nearly every sample for `patience` steps: it
      has stopped to use its noise.

    The latter two count from step `grace` on: a student may begin silent.

    Args:
        factor, spike: of the KL. window: steps whose median counts. least: nats below which no KL is high.
        ratio: the lowest and highest std ratio. floor: the part of samples at the floor that is too many.
        patience, grace: steps.

    >>> guard = Guard(spike=2)
    >>> causes = [guard.check(step, {"kl": 1.0}) for step in range(60)]
    >>> guard.check(60, {"kl": 90.0}), guard.calm
    (None, False)
    >>> guard.check(61, {"kl": 95.0})
    'KL of 95 nats a sample, over 20 times its running median of 1, for 2 steps'
    """

    factor: float = 20.0
    spike: int = 10
    window: int = 200
    least: float = 0.5
    ratio: tuple[float, float] = (0.1, 10.0)
    floor: float = 0.95
    patience: int = 200
    grace: int = 2000
    _past: deque[float] = field(default_factory=deque, repr=False)
    _runs: dict[str, int] = field(default_factory=dict, repr=False)

    @property
    def calm(self) -> bool:
        """Whether nothing is wrong at this step: only then is a checkpoint a good one."""
        return not any(self._runs.values())

    def _lasts(self, name: str, wrong: bool) -> int:
        self._runs[name] = self._runs.get(name, 0) + 1 if wrong else 0
        return self._runs[name]

    def check(self, step: int, watched: dict[str, float]) -> str | None:
        """The cause in one line if the run should stop at this step, else None.

        Of `watched` it reads `kl`, `std_ratio` and `at_floor`, those that are there.
        """
        if "kl" in watched:
            usual = max(median(self._past), self.least) if len(self._past) >= 50 else float("inf")
            wrong = watched["kl"] > self.factor * usual
            if self._lasts("kl", wrong) >= self.spike:
                return (
                    f"KL of {watched['kl']:.3g} nats a sample, over {self.factor:g} times its "
                    f"running median of {usual:.3g}, for {self.spike} steps"
                )
            if not wrong:
                self._past.append(watched["kl"])
                if len(self._past) > self.window:
                    self._past.popleft()
        if step < self.grace:
            return None
        ratio, (low, high) = watched.get("std_ratio", 1.0), self.ratio
        if self._lasts("ratio", not low <= ratio <= high) >= self.patience:
            return (
                f"std ratio of {ratio:.3g}, outside {low:g} … {high:g}, for {self.patience} steps: "
                + ("the student whispers" if ratio < low else "the student is far too loud")
            )
        if self._lasts("floor", watched.get("at_floor", 0.0) > self.floor) >= self.patience:
            return (
                f"the student's scale is at the teacher's floor in {watched['at_floor']:.0%} of all "
                f"samples, for {self.patience} steps: it has stopped to use its noise"
            )
        return None
