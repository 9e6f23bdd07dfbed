"""The template's promises, tested inside a generated service: tests/inside."""

import re

import pytest

pytestmark = pytest.mark.service


def test_every_promise_is_kept_and_none_left_out(service):
    summary = service.inside().stdout.splitlines()[-1]
    assert re.fullmatch(r"=+ \d+ passed in [\d.]+s.* =+", summary), summary
