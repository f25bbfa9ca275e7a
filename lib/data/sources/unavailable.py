"""How a source says that it does not have something."""


class Unavailable(LookupError):
    """A source does not have what it was asked for; the message is the reason, in one clause."""
