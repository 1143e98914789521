"""Validates columns of raw values and builds a table of the rows that pass."""

import json
import math
import re
from bisect import bisect
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

import numpy as np
import orjson
import pyarrow as pa
import pyarrow.compute as pc

from shared.arrays import lengths
from shared.input import numbers, timestamps
from shared.input.columns import Values
from shared.input.hub_partition import HubPartition
from shared.input.key_counts import KeyCounts
from shared.input.origins import Origins
from shared.input.rejections import Reason, RejectionDetail
from shared.input.shapes import Shape, shape
from shared.input.table_rows import TableRows
from shared.policies import ExportPolicy
from shared.tables.table import Column
from shared.timeunits import microseconds
from shared.wording import quote

_TEXT = pa.string()
_NUMBER = pa.float64()
_TIME = pa.timestamp("us", "UTC")
_SUBSCRIPTION = re.compile("/subscriptions/([^/]{1,128})(?:/|$)")


def checked(
    partition: HubPartition, rows: TableRows, origins: Origins, policy: ExportPolicy, keys: KeyCounts
) -> pa.Table:
    """Returns the rows that pass as a table, and adds the others to the rejections of their envelopes.

    Keys that belong to no column are counted in `keys`.
    """
    check = _Check(rows, origins, policy)
    columns = {column.name: check.column(at) for at, column in enumerate(rows.table.input)}
    columns["AdditionalProperties"] = rest = check.rest()
    keys.sample(rest)
    passed = check.passed()
    if passed is None:
        indexes, sequences, enqueued = check.indexes, check.sequences, check.enqueued
    else:
        at = pa.array(passed)
        columns = {name: values.take(at) for name, values in columns.items()}
        indexes, sequences, enqueued = (
            each[passed] for each in (check.indexes, check.sequences, check.enqueued)
        )
    if "_ResourceId" in columns:
        columns["_ResourceId"], subscriptions = _resources(columns["_ResourceId"])
        stated = columns.get("_SubscriptionId")
        none = stated is None or stated.null_count == len(stated)
        columns["_SubscriptionId"] = subscriptions if none else pc.coalesce(stated, subscriptions)
    columns |= {
        "_RecordIndex": pa.array(indexes),
        "_SequenceNumber": pa.array(sequences),
        "_EnqueuedTime": _time(enqueued),
        "_EventHubPartition": pa.repeat(pa.scalar(str(partition), _TEXT), len(indexes)),
    }
    return pa.Table.from_arrays(
        [_filled(column, columns.get(column.name), len(indexes)) for column in rows.table.columns],
        schema=rows.table.arrow,
    )


class _Check:
    """Rows that are being checked, and which of them failed."""

    def __init__(self, rows: TableRows, origins: Origins, policy: ExportPolicy) -> None:
        self._rows = rows
        self._origins = origins
        self._input = rows.table.input
        self._policy = policy
        self._numbers = np.frombuffer(rows.numbers, np.int32)
        self._failed = np.zeros(len(self._numbers), np.bool_)
        self._kept: list[tuple[int, str, Any]] = []
        """Rows, JSON pointers and values that do not fit their columns."""
        envelopes, self.indexes = origins.positions(self._numbers)
        self.sequences, self.enqueued = origins.lineage(envelopes)

    def column(self, at: int) -> pa.Array:
        """Converts a column to its type, and fails rows whose values do not fit."""
        column, values = self._input[at], self._rows.columns.column(at)
        if column.type == _NUMBER:
            return self._doubles(at, values)
        texts = values if isinstance(values, pa.Array) else self._texts(at, values)
        if column.required and column.default is None:
            empty = lengths(texts) == 0
            if (spaces := pc.utf8_is_space(texts)).true_count:
                empty |= np.asarray(spaces.fill_null(False))  # noqa: FBT003
            self._fail(Reason.MISSING_REQUIRED_FIELD, at, empty, "text that is not empty", values)
        return self._times(at, texts) if column.type == _TIME else texts

    def rest(self) -> pa.Array:
        """Returns the additional properties, including values that did not fit their columns."""
        rest = self._rows.columns.column(self._rows.rest)
        if not self._kept:
            return rest
        texts = rest.to_pylist() if isinstance(rest, pa.Array) else rest
        for row, name, value in self._kept:
            texts[row] = _kept(texts[row], name, value)
        return pa.array(texts, _TEXT)

    def passed(self) -> np.ndarray | None:
        """Returns the rows that passed, in order of envelopes and records; None means all, unchanged."""
        if (self._numbers[1:] < self._numbers[:-1]).any():
            order = np.argsort(self._numbers)
            return order[~self._failed[order]]
        return np.flatnonzero(~self._failed) if self._failed.any() else None

    def _texts(self, at: int, values: list[Any]) -> pa.Array:
        """Converts values of other types to JSON text; a CorrelationId must be text."""
        if self._input[at].name == "CorrelationId":
            wrong = [type(value) is not str and value is not None for value in values]
            self._fail(Reason.WRONG_TYPE, at, wrong, "text", values)
            return pa.array([value if type(value) is str else None for value in values], _TEXT)
        return pa.array(
            [value if type(value) is str or value is None else json_text(value) for value in values], _TEXT
        )

    def _doubles(self, at: int, values: Values) -> pa.Array:
        """Converts numbers, and text that is a number; other values are kept in AdditionalProperties."""
        if isinstance(values, pa.Array):
            if values.null_count == len(values):
                return pa.nulls(len(values), _NUMBER)
            values = values.to_pylist()
        if set(map(type, values)) <= {int, float, type(None)}:
            with suppress(pa.ArrowInvalid, OverflowError):  # an integer that is too large for a double
                return pa.array(values, _NUMBER)
        found = [None if value is None else numbers.read(value) for value in values]
        self._kept += [
            (row, self._shape(row).pointer(at), value)
            for row, (number, value) in enumerate(zip(found, values, strict=True))
            if number is None and value is not None
        ]
        return pa.array(found, _NUMBER)

    def _times(self, at: int, texts: pa.Array) -> pa.Array:
        found, good = timestamps.read(texts)
        self._fail(Reason.UNPARSEABLE_TIME, at, ~good, "a time such as 2030-01-02T03:04:05.1234567Z", texts)
        age, lead = self._policy.max_age, self._policy.max_lead
        late = self.enqueued - found
        implausible = (late > microseconds(age)) | (late < -(microseconds(lead)))
        self._fail(
            Reason.IMPLAUSIBLE_TIME,
            at,
            implausible,
            f"a time from {age} before to {lead} after the record's arrival",
            texts,
        )
        return _time(found)

    def _fail(
        self,
        reason: Reason,
        at: int,
        wrong: Sequence[bool] | np.ndarray,
        expected: str,
        values: Values,
    ) -> None:
        """Rejects the rows that are wrong and have not failed before."""
        wrong = np.asarray(wrong)
        if not wrong.any():
            return
        rows = np.flatnonzero(wrong & ~self._failed)
        self._failed[rows] = True
        name = self._input[at].name
        rows = rows[np.argsort(self._numbers[rows])]

        def describe_one(position: int) -> RejectionDetail:
            row = int(rows[position])
            value = values[row]
            found = quote(value.as_py() if isinstance(value, pa.Scalar) else value)
            return f"expected {expected} in {name}, got {found}", self._shape(row).pointer(at)

        self._origins.reject(reason, self._numbers[rows], describe_one)

    def _shape(self, row: int) -> Shape:
        runs = self._rows.runs
        run = runs[bisect(runs, row, key=lambda run: run.start) - 1]
        return shape(self._rows.table, run.keys, run.inner_keys)


def _time(microseconds: np.ndarray) -> pa.Array:
    return pa.array(microseconds).view(_TIME)


def _resources(ids: pa.Array) -> tuple[pa.Array, pa.Array]:
    """Normalizes resource ids (lower case, a leading slash, no trailing one), and returns subscriptions."""
    encoded = ids.dictionary_encode()
    trimmed = pc.utf8_trim(pc.utf8_lower(encoded.dictionary), "/ \t\r\n")
    some = pc.if_else(pc.equal(pc.binary_length(trimmed), 0), pa.scalar(None, _TEXT), trimmed)
    lower = pc.binary_join_element_wise("/", some, "")
    found = [_SUBSCRIPTION.match(id_ or "") for id_ in lower.to_pylist()]
    subscriptions = pa.array([one and one[1] for one in found], _TEXT)
    return lower.take(encoded.indices), subscriptions.take(encoded.indices)


def json_text(value: Any) -> str:
    """Serializes a value as JSON; numbers that JSON cannot express are written as in Python."""
    if value is True or value is False:  # common in gateway logs, so a shortcut pays off
        return "true" if value else "false"
    try:
        return json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    except RecursionError:
        return orjson.dumps(str(type(value))).decode()


def _kept(rest: str | bytes | None, pointer: str, value: Any) -> str:
    """Returns AdditionalProperties with a value under its original key."""
    *outer, key = pointer.split("/")[1:]
    if isinstance(value, float) and not math.isfinite(value):
        value = str(value)
    try:
        found = json.loads(rest or b"{}")
    except (ValueError, RecursionError):  # integers of more than 4,300 digits; more levels than Python parses
        return f"{str(rest)[:-1]},{json.dumps('.'.join([*outer, key]))}:{json_text(value)}}}"
    inner = found.setdefault("properties", {}) if outer else found
    (inner if type(inner) is dict else found)[key] = value
    return json_text(found)


def _filled(column: Column, values: pa.Array | None, rows: int) -> pa.Array:
    """Replaces nulls in a column with its default."""
    if values is None:
        return pa.nulls(rows, column.type) if column.default is None else pa.repeat(column.default, rows)
    return values if column.default is None else values.fill_null(column.default)
