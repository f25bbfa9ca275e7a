"""The error that says that a source cannot provide what it was asked for."""


class Unavailable(LookupError):
    """A source cannot provide what it was asked for; the message is the reason, in one clause."""


def refuse_revision(revision: str | None) -> None:
    """Raise Unavailable if a revision is asked for, in a source that has none."""
    if revision is not None:
        raise Unavailable(f"only the hub has revisions, and {revision} is asked for")
