"""What the property tests draw: arrays of one shape, so that a backend compiles each function once."""

import numpy as np
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

COUNT = 16
FILTERS = 4

# each example calls the backend; the same ones each time
properties = settings(deadline=None, derandomize=True, database=None, max_examples=25)


def multiples_of(step, largest, shape=(COUNT,), **more):
    """Multiples of a power of two up to ±`largest` steps: float32 adds and multiplies them without rounding.

    They meet thresholds exactly, and repeat.
    """
    integers = arrays(np.int16, shape, elements=st.integers(-largest, largest), **more)
    return integers.map(lambda k: (k * step).astype(np.float32))


def weights(shape=(COUNT,)):
    return multiples_of(1 / 64, 96, shape)


def kernels():
    return weights((COUNT // 2, FILTERS))


def upstream():
    return multiples_of(1 / 8, 16)


def any_weights(shape=(COUNT,)):
    """Floats of every magnitude that a layer could have."""
    sizes = st.floats(2**-14, 2, width=32)
    elements = st.one_of(sizes, sizes.map(lambda size: -size), st.just(0.0))
    return arrays(np.float32, shape, elements=elements)


def scales(minimum=-32):
    return st.integers(minimum, 32).map(lambda k: np.float32(k / 16))
