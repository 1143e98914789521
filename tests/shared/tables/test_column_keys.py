"""COLUMN_KEYS is parsed, and wrong keys are rejected with a message."""

import pytest

from shared.tables.column_keys import EXAMPLE, extended, parse, problems
from shared.tables.registry import TABLES, of_categories
from shared.tables.websocket_connection_logs import CATEGORY, RECORDS

NAME = RECORDS.name


def test_the_setting_names_columns_and_their_keys_in_order() -> None:
    assert parse(EXAMPLE) == (
        ("EventName", ("properties.event", "operation")),
        ("TimeGenerated", ("timeStamp",)),
    )
    assert parse(" a = b | c ;; ") == (("a", ("b", "c")),)
    assert parse("") == ()


@pytest.mark.parametrize("text", ["EventName", "EventName=", "=x", "EventName=a||b", "EventName=properties."])
def test_malformed_column_keys_are_rejected(text: str) -> None:
    with pytest.raises(ValueError, match=text.partition("|")[0]):
        parse(text)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("Name=x", "'Name' is not a column that records fill; allowed are CorrelationId, "),
        ("Other.EventName=x", "'Other.EventName' is not a column"),
        ("AdditionalProperties=x", "'AdditionalProperties' is not a column"),
        ("EventName=Properties", "'Properties' cannot be a key of EventName: it identifies a record's kind"),
        ("EventName=PROPERTIES.source", "'PROPERTIES.source' cannot be a key of EventName: Source is read"),
        ("Region=tenantId", "'tenantId' cannot be a key of Region: TenantId is read from it"),
        ("EventName=x;Source=X", "'X' cannot be a key of Source: EventName is read from it"),
        (f"EventName=x;{NAME}.Source=x", "'x' cannot be a key of Source: EventName is read from it"),
    ],
)
def test_a_key_belongs_to_exactly_one_column(text: str, problem: str) -> None:
    (found,) = problems([RECORDS], parse(text))
    assert found.startswith(problem)


@pytest.mark.parametrize("text", [EXAMPLE, f"{NAME}.EventName=x;EventName=y|eventName", "TenantId=tenantId"])
def test_a_key_may_be_given_twice_to_one_column(text: str) -> None:
    assert not list(problems([RECORDS], parse(text)))


def test_only_the_named_table_gets_a_key() -> None:
    mine, other = parse(f"{NAME}.EventName=x"), parse("Other.EventName=x")
    (table,) = of_categories([CATEGORY], mine)
    assert [column.name for column in table.columns if column.more_keys] == ["EventName"]
    assert table.arrow.equals(RECORDS.arrow, check_metadata=True)
    assert extended(RECORDS, other) is RECORDS is TABLES[NAME]
    assert of_categories([CATEGORY], mine) == (table,)  # templates and shapes are cached by table
