import numpy as np
import pytest


@pytest.fixture()
def random_signs():
    """Make gradients of 24 heads and 6 MLPs that differ in size, with random signs."""

    def gradients(count=512, seed=0, scale=None):
        draw = np.random.default_rng(seed)
        scale = draw.uniform(0.5, 2, 30) if scale is None else scale
        return draw.normal(size=(count, 30)) * scale

    return gradients
