"""Build the book of a run: python -m book [PROFILE]; without a profile, of the reference run."""

import sys

from book.build import PROFILE, build, report

if __name__ == "__main__":
    profile = sys.argv[1] if len(sys.argv) > 1 else PROFILE
    try:
        print(report(build(profile)))
    except (LookupError, ValueError) as mistake:
        sys.exit(str(mistake))
