"""The one exception family of the package."""

from .text import printable


class QilError(Exception):
    """Something the user can mend: the message says what was given, what was expected and what to do.

    It may quote what came from outside: whatever that holds, the message is printable.
    """

    def __init__(self, message: object = "") -> None:
        super().__init__(printable(str(message)))
