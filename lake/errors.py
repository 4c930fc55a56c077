"""Every error of the lakehouse, rooted in one class.

Each message is one line in plain words: what is wrong, the offending value, and what to do about it. The command
line prints the message without a stack trace and ends with `exit_code`.
"""

from __future__ import annotations


class LakehouseError(Exception):
    """Root of all errors that a user can do something about."""

    exit_code = 1


class SettingError(LakehouseError):
    """A setting has a value that cannot be used; names the setting, the value, where it came from and the fix."""

    exit_code = 2


class UsageError(LakehouseError):
    """A command was called in a way that cannot work (wrong argument, missing folder)."""

    exit_code = 2


class MachineError(LakehouseError):
    """The machine lacks something (Java, memory, disk, a port); names the command that mends it."""

    exit_code = 3


class InputError(LakehouseError):
    """An input folder or file is not of the promised form as a whole (single bad lines go to quarantine)."""

    exit_code = 4


class LeaseError(LakehouseError):
    """Another application already writes these tables; one writer a table at a time."""

    exit_code = 5


class CheckpointError(LakehouseError):
    """A checkpoint and its table do not belong together."""

    exit_code = 5


class SchemaError(LakehouseError):
    """A table in the lake has other columns than this version declares."""

    exit_code = 5


class RuleError(LakehouseError):
    """A rule set is wrong; names the file, the rule and the reason."""

    exit_code = 6


class InconsistentError(LakehouseError):
    """The counts of the lake do not reconcile, or stored features differ from the recomputation."""

    exit_code = 7


class StreamError(LakehouseError):
    """A streaming query ended with an error; carries the query's name and its cause."""

    exit_code = 8


class MartsError(LakehouseError):
    """`dbt build` failed; names the models and tests that failed."""

    exit_code = 9


class TrainingError(LakehouseError):
    """A model cannot be trained on what the lake holds; names what is missing."""

    exit_code = 10
