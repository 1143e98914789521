"""Bodies are read with a template as long as that pays, and with bounded memory."""

from dataclasses import replace
from typing import Any

import orjson

from shared.input import templates
from shared.input.extraction import Rows
from shared.input.templates import TemplateCache
from shared.tables.websocket_connection_logs import RECORDS
from tests.shared.input.test_templates import INNER, KEYS, PRIMER, grown, seen_keys

GOOD, BAD = b'{"records":[' + PRIMER + b"]}", b'{"records":[1],"more":"' + b"x" * 1000 + b'"}'


def read(rows: Rows, body: bytes) -> list[object] | None:
    (found,) = rows.read([body])
    return found


def test_a_template_that_rarely_fits_is_skipped() -> None:
    templates.cache = TemplateCache(grown(None, [(KEYS, INNER)]))
    rows = Rows(1 << 29, (RECORDS,))
    for _ in range(100):
        assert read(rows, BAD) is None
    assert read(rows, GOOD) is None
    rows.take()
    assert read(rows, GOOD) is None
    assert read(Rows(1 << 29, (RECORDS,)), GOOD)


def test_a_template_that_often_fits_is_tried_again() -> None:
    templates.cache = TemplateCache(grown(None, [(KEYS, INNER)]))
    rows = Rows(1 << 29, (RECORDS,))
    for number in range(1000):
        read(rows, BAD if number % 20 == 0 else GOOD)
    assert read(rows, GOOD)


def test_bodies_without_records_add_almost_no_credit() -> None:
    templates.cache = TemplateCache(grown(None, [(KEYS, INNER)]))
    rows = Rows(1 << 29, (RECORDS,))
    for _ in range(100):
        read(rows, BAD)
        for _ in range(20):
            read(rows, b'{"records":[]}')
    assert read(rows, GOOD) is None


def test_bodies_that_do_not_fit_do_not_affect_others() -> None:
    templates.cache = TemplateCache(grown(None, [(KEYS, INNER)]))
    rows = Rows(1 << 29, (RECORDS,))
    for _ in range(1000):
        assert [bool(each) for each in rows.read([GOOD, BAD, *[GOOD] * 30])] == [True, False, *[True] * 30]
        assert all(rows.read([GOOD] * 30))


def test_failed_joint_reads_are_limited() -> None:
    template = grown(None, [(KEYS, INNER)])
    assert template
    tried: list[int] = []

    def decode(text: bytes) -> list[Any]:
        tried.append(len(text))
        return template._decode(text)

    templates.cache = TemplateCache(replace(template, _decode=decode))
    for kinds in ([True], [False], [True, False], [True, True, False]):
        rows, tried[:] = Rows(1 << 29, (RECORDS,)), []
        for number in range(60):
            rows.read([GOOD] * 20 if kinds[number % len(kinds)] else [*[GOOD] * 19, BAD])
        alone = 60 * 20 * len(GOOD) + 60 * len(BAD)
        assert sum(tried) <= 1.5 * alone
    assert len(tried) < 60 * 20


def test_a_new_template_is_tried() -> None:
    templates.cache = TemplateCache(grown(None, [(KEYS, INNER)]))
    rows = Rows(1 << 29, (RECORDS,))
    for _ in range(100):
        read(rows, BAD)
    templates.cache.learn(seen_keys([((*KEYS, "new"), INNER)]), 4096)
    rows.take()
    assert read(rows, GOOD)


def test_a_large_body_is_read_with_bounded_memory() -> None:
    templates.cache = TemplateCache(grown(None, [(KEYS, INNER)]))
    record = orjson.loads(PRIMER)
    assert (
        read(Rows(1 << 29, (RECORDS,)), orjson.dumps({"records": [record | {"Level": "x" * (1 << 20)}]}))
        is None
    )
    body = orjson.dumps({"records": [record | {"Level": "x" * (1 << 19)}]})
    assert read(Rows(1 << 29, (RECORDS,)), body)
    assert all(Rows(1 << 29, (RECORDS,)).read([GOOD, body]))
    assert Rows(1 << 29, (RECORDS,)).read([body, body])
