"""Makes the networks. NumPy keeps to one thread here: on small arrays its threads only wait, which doubled a step's time."""

import os

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
