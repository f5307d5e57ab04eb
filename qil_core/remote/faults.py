"""What can go wrong with a job on a server: whether the server, the job or neither is at fault decides what follows."""

from __future__ import annotations

from ..errors import QilError


class ServerLost(QilError):
    """A server does not answer, or no longer knows a job that it took: the job can be done by another one."""


class JobFailed(QilError):
    """A server answered that this job cannot be done: another server would answer the same."""


class Stopped(Exception):
    """The user asked to stop."""
