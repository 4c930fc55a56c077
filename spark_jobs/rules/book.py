"""The rule set in force: taken from its files, and taken anew when they change, if what they say then is right."""

from __future__ import annotations

import logging
import time
from pathlib import Path

from lake.errors import RuleError
from lake.settings import Settings
from spark_jobs.rules.files import read_rules, rule_files, text_files
from spark_jobs.rules.rule_set import RuleSet

# A file that was changed so recently may be half written.
SETTLED_SECONDS = 0.5

_log = logging.getLogger("risklake.rules")

_Signature = tuple[tuple[str, int, int, int], ...]


class RuleBook:
    """The rules of the configured files, and of the files of values beside them.

    The first set must be right, or `RuleError` is raised. Later, `current` looks whether the files have changed: a
    right set is in force from then on; of a wrong one the reason is said once, and the old set stays. It is not read
    again before something has changed.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        files = rule_files(settings)
        self._seen = _signature(files)
        self._set = read_rules(files)
        self._refused = ""
        self._refused_as: _Signature = ()

    def current(self) -> RuleSet:
        """The set to be used now. To be asked before each micro-batch; where nothing changed, it costs a look."""
        try:
            files = rule_files(self._settings)
            seen = _signature([*files, *self._set.value_files])
            if seen != self._seen and _is_settled(seen):
                self._read(files, seen)
        except RuleError as error:
            self._refuse(str(error))
        return self._set

    def _read(self, files: list[Path], seen: _Signature) -> None:
        # Which values a list has that is refused nobody knows; so any text file beside it may put it right.
        offered = (*seen, *_signature(text_files(files)))
        if offered == self._refused_as:
            return
        try:
            self._take(read_rules(files))
        except RuleError as error:
            # What cannot be read may be readable the next time, and look the same.
            self._refused_as = () if _is_unreadable(error) else offered
            raise
        # What changes while it is read is seen the next time.
        self._seen, self._refused_as = seen, ()

    def _take(self, found: RuleSet) -> None:
        if found.version != self._set.version:
            _log.warning("rules changed: set %s is in force; %s", found.version, changes(self._set, found))
        self._set, self._refused = found, ""

    def _refuse(self, reason: str) -> None:
        if reason != self._refused:
            _log.warning("rules refused, set %s stays in force: %s", self._set.version, reason)
        self._refused = reason


def changes(old: RuleSet, new: RuleSet) -> str:
    """In one line, which rules, lists and snoozes came, went, or changed."""
    before, after = old.named, new.named
    parts = {
        "new": sorted(after.keys() - before.keys()),
        "gone": sorted(before.keys() - after.keys()),
        "changed": sorted(name for name in after.keys() & before.keys() if after[name] != before[name]),
    }
    said = "; ".join(f"{word}: {', '.join(names)}" for word, names in parts.items() if names)
    return said or "with other thresholds"


def _is_unreadable(error: BaseException | None) -> bool:
    return error is not None and (isinstance(error, OSError) or _is_unreadable(error.__cause__))


def _signature(files: list[Path]) -> _Signature:
    return tuple(_look(file) for file in files)


def _look(file: Path) -> tuple[str, int, int, int]:
    try:
        stat = file.stat()
    except OSError:  # reading it will say why
        return str(file), 0, 0, 0
    return str(file), stat.st_mtime_ns, stat.st_size, stat.st_ino


def _is_settled(seen: _Signature) -> bool:
    now = time.time_ns()
    return all(not 0 <= now - modified < SETTLED_SECONDS * 1e9 for _, modified, _, _ in seen)
