"""How often and how long a server is asked before it counts as lost."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Patience:
    """All waiting, in seconds. Tests use shorter times.

    connect: to reach a machine; 5 s is long for a network and short for a person. read: until the next bytes of an
    answer come; ComfyUI answers nothing while a node holds Python's interpreter lock, so this is far above a network's
    delay. attempts: tries for one request, with pause * 2**n before the (n+1)th. whole: for one request with its
    answer, so that a server which sends a byte a minute does not hold a job for ever. poll: between questions for a
    job's result while the websocket is silent. look: between questions whether the server still has the job in its
    queue. back: between questions whether a lost server is there again.
    """

    connect: float = 5.0
    read: float = 60.0
    attempts: int = 4
    pause: float = 0.5
    whole: float = 3600.0
    poll: float = 2.0
    look: float = 15.0
    back: float = 5.0


STANDARD = Patience()
