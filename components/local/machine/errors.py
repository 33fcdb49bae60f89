"""What went wrong on this machine, told plainly."""


class MachineError(Exception):
    """Something on this machine stands in the way; the text says what, and what to do."""
