"""The blocks of a page that a tool writes, between two comments."""


def fill(page: str, begin: str, end: str, block: str) -> str:
    """The page with this block between two markers, in place of what stands there.

    Raises ValueError if the page has no such place.
    """
    if begin not in page or end not in page:
        raise ValueError(f"there is no place between {begin} and {end}")
    before, rest = page.split(begin, 1)
    return f"{before}{begin}\n\n{block}\n\n{end}{rest.split(end, 1)[1]}"
