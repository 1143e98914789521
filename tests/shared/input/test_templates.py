"""A template changes no result, and leaves bodies that it cannot read to orjson."""

import json
from collections.abc import Iterable, Sequence
from itertools import chain
from typing import Any

import orjson
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from shared.input import templates
from shared.input.envelope import Envelope
from shared.input.shapes import Keys
from shared.input.templates import Seen, Template, TemplateCache
from shared.input.validation import Validated, validate
from shared.policies import ExportPolicy
from shared.tables.column_keys import parse
from shared.tables.registry import of_categories
from shared.tables.websocket_connection_logs import RECORDS
from tests.campaigns.fuzz.strategies import BODY, FRAGMENTS, VALUE
from tests.effort import effort
from tests.records import PARTITION, TEN

KEYS: Keys = ("time", "category", "correlationId", "resourceId", "durationMs", "Level", "Ü/~", "properties")
INNER: Keys = ("eventName", "error", "more")

type Values = st.SearchStrategy[bytes]


def seen_keys(pairs: Sequence[tuple[Keys, Keys | None]]) -> list[Seen]:
    return [Seen(RECORDS, *pair) for pair in pairs]


def grown(template: Template | None, pairs: Sequence[tuple[Keys, Keys | None]]) -> Template | None:
    return templates.grown(template, seen_keys(pairs))


def _object(members: list[tuple[str, bytes]]) -> bytes:
    return b"{" + b",".join(orjson.dumps(key) + b":" + value for key, value in members) + b"}"


def _members(needed: dict[str, bytes], more: dict[str, Values]) -> st.SearchStrategy[list[tuple[str, bytes]]]:
    """The members of an object: required ones and others, some repeated, in any order."""
    other = st.sampled_from(sorted(more)).flatmap(lambda key: st.tuples(st.just(key), more[key]))
    return st.lists(other, max_size=4).flatmap(lambda some: st.permutations([*needed.items(), *some]))


_TEXTS = st.sampled_from([text for text in FRAGMENTS if text.startswith(b'"')] + [b"null"] * 20)
NEEDED = {
    "time": b'"2026-11-20T09:59:00.1234567Z"',
    "category": b'"WebSocketConnectionLogs"',
    "correlationId": b'"c"',
}
NEEDED_INNER = {"eventName": b'"Opened"'}
_INNER = _members(NEEDED_INNER, {"error": _TEXTS, "eventName": _TEXTS, "more": VALUE})
_OUTER = _INNER.flatmap(
    lambda inner: _members(
        NEEDED | {"properties": _object(inner)},
        {
            "resourceId": _TEXTS,
            "time": _TEXTS,
            "category": _TEXTS,
            "durationMs": VALUE,
            "Level": VALUE,
            "Ü/~": VALUE,
        },
    )
)
ENVELOPE = st.lists(_OUTER.map(_object), max_size=3).map(
    lambda records: b'{"records":[' + b",".join(records) + b"]}"
)
PRIMER = _object(
    [
        *NEEDED.items(),
        *((key, b"null") for key in ("resourceId", "durationMs", "Level", "Ü/~")),
        ("properties", _object([*NEEDED_INNER.items(), ("error", b"null"), ("more", b"1")])),
    ]
)
"""Has all keys."""


def made(keys: Keys, inner: Keys | None) -> bool:
    return grown(None, [(keys, inner)]) is not None


def seen(validated: Validated) -> list[Any]:
    """Returns everything visible; unclaimed properties with ordered keys and numbers as written."""
    rows = validated.table.to_pylist()
    for row in rows:
        if row["AdditionalProperties"] is not None:
            rest = json.loads(row["AdditionalProperties"], parse_int=repr, parse_float=repr)
            row["AdditionalProperties"] = json.dumps(rest, sort_keys=True)
    rejections = [
        (each.envelope.sequence, each.rejections, each.indexes, each.counts) for each in validated.rejected
    ]
    return [validated.records, validated.skipped, rejections, list(map(repr, rows))]


def both(parts: Iterable[list[Any]]) -> list[Any]:
    """Returns the visible results of several envelopes together."""
    records, skipped, rejections, rows = zip(*parts, strict=True)
    return [sum(records), sum(skipped), list(chain(*rejections)), list(chain(*rows))]


POLICIES = [
    ExportPolicy(),
    ExportPolicy(column_keys=parse("Source=Level;Region=properties.more")),
    ExportPolicy(column_keys=parse("EventName=properties.error2|Ü/~;Error=properties.more")),
]
"""Policies without and with keys from an operator; the last one gives columns two keys."""


def by_orjson(envelope: Envelope, policy: ExportPolicy) -> Validated:
    templates.cache = TemplateCache()
    return validate(PARTITION, [envelope], policy)


@settings(
    max_examples=effort(60, 2000),
    derandomize=True,
    database=None,
    deadline=None,
    suppress_health_check=list(HealthCheck),
)
@given(st.lists(BODY | ENVELOPE, min_size=4, max_size=8), st.sampled_from(POLICIES))
def test_a_template_changes_no_result(bodies: list[bytes], policy: ExportPolicy) -> None:
    envelopes = [Envelope(number, TEN, body) for number, body in enumerate(bodies)]
    apart = [seen(by_orjson(envelope, policy)) for envelope in envelopes]
    primed = []
    for envelope in envelopes:
        templates.cache = TemplateCache()
        validate(PARTITION, [Envelope(0, TEN, PRIMER)], policy)
        primed.append(seen(validate(PARTITION, [envelope], policy)))
    assert primed == apart
    for first in range(len(envelopes)):
        for last in (first + 2, len(envelopes)):
            templates.cache = TemplateCache()
            validate(PARTITION, [Envelope(0, TEN, PRIMER)], policy)
            together = validate(PARTITION, envelopes[first:last], policy)
            assert seen(together) == both(apart[first:last])
    templates.cache = TemplateCache()
    validate(PARTITION, envelopes, policy)
    assert [seen(validate(PARTITION, [envelope], policy)) for envelope in envelopes] == apart


@pytest.mark.parametrize(
    ("change", "read"),
    [
        ({}, True),
        ({"Level": [1, None, "x"], "resourceId": None}, True),
        ({"Level": {"a": 1, "b": True}}, True),
        ({"durationMs": 12, "category": "GatewayLogs"}, True),
        ({"properties": {"eventName": "x"}}, True),
        ({"Level": [[1]]}, False),
        ({"Level": 2**63}, False),
        ({"Level": 1e300}, False),
        ({"Level": [1.5]}, False),
        ({"durationMs": 1.5}, False),
        ({"durationMs": True}, False),
        ({"resourceId": 1}, False),
        ({"category": None}, False),
        ({"properties": None}, False),
        ({"properties": "{}"}, False),
        ({"new": 1}, False),
        ({"level": 1}, False),
        ({"properties": {"eventName": "x", "new": 1}}, False),
        ({"properties": {}}, True),
    ],
)
def test_a_template_leaves_other_bodies_alone(change: dict[str, Any], read: bool) -> None:  # noqa: FBT001
    template = grown(None, [(KEYS, INNER)])
    assert template
    record = {"time": "t", "category": "c", "correlationId": "i", "properties": {"eventName": "x"}} | change
    found = template.records([orjson.dumps({"records": [record, record]})])
    assert (found is not None and len(found[0]) == 2) == read, found
    for body in ([record], record, {"records": [record], "more": 1}, {"Records": [record]}):
        assert template.records([orjson.dumps(body)]) is None


RECORD = (
    b'{"time":"t","category":"c","correlationId":"}{","Level":[1],"Level":{"a":"x"},'
    b'"properties":{"eventName":"x"}}'
)
PAIR = [b'{"records":[' + RECORD + b"," + RECORD + b"]}"] * 2


@pytest.mark.parametrize("between", [b"", b" ", b",", b"\n", b"\r\n"])
def test_bodies_cannot_complete_each_other(between: bytes) -> None:
    template = grown(None, [(KEYS, INNER)])
    assert template
    assert template.records(PAIR)
    whole = between.join(PAIR)
    for cut in range(len(whole) + 1):
        texts = [whole[:cut], whole[cut:]]
        assert template.records(texts) is None or texts == PAIR
        more = [*texts, PAIR[0]]
        assert template.records(more) is None or texts == PAIR


def test_the_first_envelope_shows_keys_and_later_ones_add() -> None:
    templates.cache = TemplateCache()
    needed: dict[str, Any] = {key: orjson.loads(value) for key, value in NEEDED.items()}
    log = needed | {"properties": {"eventName": "x"}}
    bodies = [log, log | {"Level": 1}, {key: log[key] for key in reversed(log)} | {"Sku": None}]
    for number, record in enumerate(bodies):
        templates.cache.learn([], 4096)
        validate(PARTITION, [Envelope(number, TEN, orjson.dumps({"records": [record]}))], ExportPolicy())
        assert (latest := templates.cache.template)
        assert latest.shape.keys == (*log, *("Level", "Sku")[:number])
        for each in bodies[: number + 1]:
            assert latest.records([orjson.dumps({"records": [each]})])


def test_templates_are_created_rarely_and_renewed() -> None:
    wide, narrow = [(KEYS, INNER)], [(tuple(key for key in KEYS if key != "Level"), INNER)]
    known = TemplateCache()
    known.learn(seen_keys(wide), 1)
    assert (first := known.template)
    known.learn(seen_keys([((*KEYS, "new"), INNER)]), 4095)
    assert known.template is first
    known.learn(seen_keys([((*KEYS, "new"), INNER)]), 1)
    assert known.template is not first
    known.learn(seen_keys([]), (1 << 16) - 1)
    assert known.template
    known.learn(seen_keys([]), 1)
    assert known.template is None
    known.learn(seen_keys(narrow), 1)
    assert known.template
    assert "Level" not in known.template.shape.keys


@pytest.mark.parametrize(
    ("keys", "inner"),
    [
        (("time",), None),
        (("time", "correlationId", "eventName", "properties"), None),
        (("metricName", "time", "correlationId", "eventName"), None),
        (("time", "correlationId", "eventName", "EventName"), None),
        (("time", "TimeGenerated", "correlationId", "eventName"), None),
        (("time", "correlationId", "eventName", "properties"), ("eventName",)),
        (("time", "correlationId", "properties"), ("eventName", "correlationId")),
        (("time", "category", "Category", "correlationId", "eventName"), None),
        (("time", "correlationId", "eventName", 'a"b'), None),
        (("time", "correlationId", "eventName", *(f"key{number}" for number in range(30))), None),
        (("time", "correlationId", "eventName", "k" * 4096), None),
    ],
)
def test_ambiguous_keys_get_no_template(keys: Keys, inner: Keys | None) -> None:
    assert made(("time", "correlationId", "eventName"), None)
    assert made(("time", "correlationId", "properties"), ("eventName",))
    assert not made(keys, inner)


def test_a_full_template_is_replaced_by_a_newer_one() -> None:
    log, row = ("time", "correlationId", "eventName"), ("TimeGenerated", "CorrelationId", "EventName", "Type")
    template = grown(grown(None, [(log, None)]), [(row, None)])
    assert template
    assert template.shape.keys == row
    assert grown(template, [((*row, "type"), None)]) is template


def test_input_does_not_decide_how_much_is_cached() -> None:
    template = None
    for number in range(1000):
        template = grown(template, [(("time", "correlationId", "eventName", f"k{number}"), None)])
        assert template
        assert len(template.shape.keys) <= 32
    assert templates._made.cache_info().currsize <= 64


def test_added_keys_do_not_prevent_templates() -> None:
    policy = POLICIES[1]
    templates.cache = TemplateCache()
    validate(PARTITION, [Envelope(0, TEN, PRIMER)], policy)
    assert (template := templates.cache.template)
    assert (template.shape.table,) == of_categories(policy.categories, policy.column_keys)
    record = PRIMER.replace(b'"more":1', b'"more":"x"')
    assert template.records([b'{"records":[' + record + b"]}"])
