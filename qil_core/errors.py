"""The one exception family of the package."""


class QilError(Exception):
    """Something the user can mend: the message says what was given, what was expected and what to do."""
