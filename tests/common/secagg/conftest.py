"""The convoy of platforms that every test of a whole round sails with."""

import pytest

from audits.convoy import Convoy


@pytest.fixture(scope="session")
def convoy() -> type[Convoy]:
    return Convoy
