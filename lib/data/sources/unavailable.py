"""The error that says that a source cannot provide what it was asked for."""


class Unavailable(LookupError):
    """A source cannot provide what it was asked for; the message is the reason, in one clause."""
