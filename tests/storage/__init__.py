"""Tests of the storage backends, and what several of their modules share."""

from typing import Literal

import pytest

TIMEOUT = 1.0  # seconds: the time limit of a MongoDB backend that is put under stress

Driver = Literal["motor", "pymongo"]

leaks_sockets = pytest.mark.filterwarnings("ignore:unclosed <socket:ResourceWarning")
each_driver = pytest.mark.parametrize(
    "driver", ["motor", pytest.param("pymongo", marks=leaks_sockets)]
)
