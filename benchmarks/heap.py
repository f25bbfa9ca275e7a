"""What dask's default heap trimming costs a forward pass: the same script with it and without it, in turn.

python -m benchmarks.heap
"""

import os
import statistics
import subprocess
import sys

SCRIPT = """
import time, torch
torch.set_num_threads(1)
x, layer = torch.randn(16, 32, 384), torch.nn.TransformerEncoderLayer(384, 12, 1536, batch_first=True).eval()
with torch.inference_mode():
    layer.train(False)
    def once():
        y = x
        for _ in range(6):
            y = layer.norm2(y + layer.linear2(torch.nn.functional.gelu(layer.linear1(y))))
    once()
    start = time.perf_counter()
    for _ in range(20):
        once()
    print(time.perf_counter() - start)
"""


def seconds(**variables: str) -> float:
    """The seconds of the script in a fresh process with these variables."""
    plain = {name: value for name, value in os.environ.items() if name != "MALLOC_TRIM_THRESHOLD_"}
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT], env=plain | variables, capture_output=True, text=True, check=True
    )
    return float(done.stdout)


if __name__ == "__main__":
    ratios = [seconds(MALLOC_TRIM_THRESHOLD_="65536") / seconds() for _ in range(5)]
    print(f"with heap trimming / without: {statistics.median(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f})")
