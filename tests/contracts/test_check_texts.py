"""Every check says in its own file what its finding means, why it matters, what to do and where to read more."""

import pytest

from automl_phys import registry

WITHOUT_STATISTICS = ("edge_of_space", "failed_trials")


@pytest.mark.parametrize("name", registry.names("checks"))
def test_a_check_explains_itself(name):
    check = registry.load("checks", name)
    for text in (check.MEANS, check.WHY, check.REMEDY):
        assert text.endswith(".")
        assert len(text) > 40
    assert bool(check.SOURCES) == (name not in WITHOUT_STATISTICS)
