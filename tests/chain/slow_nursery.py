"""The nursery with imports that take a second each, half a minute in all."""

import sys
import time
from importlib import import_module

from chain import nursery

sys.modules["slow"] = sys
nursery.IMPORTS = ("time",) * 30
nursery.importlib.import_module = lambda name: (time.sleep(1), import_module(name))[1]

if __name__ == "__main__":
    nursery.serve(sys.argv[1])
