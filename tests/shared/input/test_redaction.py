"""Secrets do not reach the output, and other text stays."""

import time
from collections import Counter
from collections.abc import Callable

import pyarrow as pa
import pyarrow.compute as pc
import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.export import plan
from shared.input import redaction
from shared.input.redaction import redact, redact_texts
from shared.policies import ExportPolicy, RedactionPolicy
from shared.protocol.ledger import Ledger
from shared.protocol.stamp import Stamp
from shared.timeunits import MINUTE
from tests.records import EPOCH, PARTITION, envelope
from tests.shared.export.plans import Nothing
from tests.shared.exported import record

CREDENTIALS = RedactionPolicy()
QUERIES = RedactionPolicy("queries")
JWT = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0.dozjgNryP4J3jVmNHl0w5N_XgL0n3I9P"
SECRETS = {
    "wss://user:hunter2@host/path": "wss://[redacted:userinfo]@host/path",
    "wss://h/chat?access_token=abc.def-1&room=7": "wss://h/chat?access_token=[redacted:parameter]&room=7",
    "wss://h/chat?room=7&Subscription-Key=0123456789abcdef": (
        "wss://h/chat?room=7&Subscription-Key=[redacted:parameter]"
    ),
    "https://h/f?code=a1b2==": "https://h/f?code=[redacted:parameter]",
    "https://a.blob.core.windows.net/c?sv=2024&sig=ab%2Fcd%3D&se=2030": (
        "https://a.blob.core.windows.net/c?sv=2024&sig=[redacted:parameter]&se=2030"
    ),
    "https://h/#id_token=abc": "https://h/#id_token=[redacted:parameter]",
    f"rejected: {JWT}": "rejected: [redacted:jwt]",
    "Bearer abcdefgh12345678 is not valid": "Bearer [redacted:bearer] is not valid",
    "authorization: Basic dXNlcjpwYXNzd29yZA==": "authorization: Basic [redacted:basic]",
    "Ocp-Apim-Subscription-Key: 0123456789abcdef0123456789abcdef": (
        "Ocp-Apim-Subscription-Key: [redacted:header]"
    ),
    "x-functions-key: abc==": "x-functions-key: [redacted:header]",
    "Cookie: sid=0123456789abcdef": "Cookie: [redacted:header]",
    "Endpoint=sb://x/;SharedAccessKey=abc=;": "Endpoint=sb://x/;SharedAccessKey=[redacted:key];",
    "AccountName=a;AccountKey=Zm9v+/==": "AccountName=a;AccountKey=[redacted:key]",
    '{"access_token":"a\\"b","code":404}': '{"access_token":"[redacted:property]","code":404}',
    '{"properties":{"password": "hunter2"}}': '{"properties":{"password": "[redacted:property]"}}',
}
HARMLESS = (
    "client",
    "gateway",
    "wss://host:8443/path?room=7",
    "Basic tier",
    "bearer token missing",
    "key: value",
    "00000000-aaaa-4bbb-8ccc-111111111111",
    "/subscriptions/s/resourcegroups/g/providers/microsoft.apimanagement/service/a",
    '{"code":404,"keyVault":"x","tokens":3}',
    "10.0.0.1:443",
    "Token expired at 12:30",
    "ConnectionClosed",
)


def redact_text(text: str, policy: RedactionPolicy) -> str:
    (clean,) = redact_texts([text], policy, Counter())
    return clean


@pytest.mark.parametrize(("text", "clean"), SECRETS.items())
def test_credentials_are_replaced(text: str, clean: str) -> None:
    assert redact_text(text, CREDENTIALS) == clean
    assert redact_text(clean, CREDENTIALS) == clean.replace("[redacted:x]", ""), (
        "a second time changes nothing"
    )


@pytest.mark.parametrize("others", [0, 1, 5000])
@pytest.mark.parametrize("other", [None, "", "same", "number {:05}", "long " * 50 + "{:05}"])
def test_credentials_are_found_in_any_column(other: str | None, others: int) -> None:
    """Constant, short, long and wide columns are searched in different ways."""
    around = [other and other.format(number) for number in range(others)]
    for text, clean in SECRETS.items():
        for times in (1, 7):
            column = pa.array([*around, *[text] * times, *around], pa.string())
            found, counts = redact(pa.table({"Error": column}), CREDENTIALS)
            assert found["Error"].to_pylist() == [*around, *[clean] * times, *around]
            assert counts.total() == times


def test_values_that_repeat_one_another_are_searched_completely() -> None:
    for text in SECRETS:
        for cut in range(1, len(text)):
            turned = text[cut:] + text[:cut]
            column = [turned, turned * 2, turned * 3]
            found, _ = redact(pa.table({"Error": column}), CREDENTIALS)
            assert found["Error"].to_pylist() == [redact_text(each, CREDENTIALS) for each in column]


NAMES = [
    "access_token",
    "access-token",
    "accesstoken",
    "id_token",
    "refreshToken",
    "token",
    "auth",
    "authorization",
    "bearer",
    "jwt",
    "api_key",
    "apikey",
    "subscription-key",
    "Ocp-Apim-Subscription-Key",
    "x-functions-key",
    "client_secret",
    "secret",
    "password",
    "passwd",
    "pwd",
    "credential",
    "sas",
    "sig",
    "signature",
    "session",
    "session_id",
    "session-id",
    "sessionId",
    "ticket",
]


@pytest.mark.parametrize("name", [*NAMES, *map(str.upper, NAMES)])
def test_each_property_that_names_a_credential_is_found(name: str) -> None:
    text, clean = f'{{"{name}":"x"}}', f'{{"{name}":"[redacted:property]"}}'
    assert redact_text(text, CREDENTIALS) == clean
    assert redact_text(f'"mono{text}', CREDENTIALS) == f'"mono{clean}'


def searched_everywhere(texts: list[str], policy: RedactionPolicy) -> list[str]:
    """Applies each rule to each text, without looking for hints first."""
    values = pa.array(texts, pa.string())
    rules = [redaction.QUERY if one.kind == "parameter" and policy is QUERIES else one for one in RULES]
    for rule in rules:
        marker = f"[redacted:{rule.kind}]"
        marker = f'"{marker}"' if rule.kind == "property" else marker
        marker += "@" if rule.kind == "userinfo" else ""
        values = pc.replace_substring_regex(values, f"(?i){rule.pattern}", rf"\1{marker}")
    return list(values.to_pylist())


RULES = (*redaction.PROPERTIES, *redaction.CREDENTIALS)
PARTS = [
    *SECRETS,
    *HARMLESS,
    *NAMES,
    *'":=?&/@ aK_-\u00e9\0',
    '":"',
    "eyj",
    "bearer",
    "cookie:",
    "-key:",
    "://",
]
TEXTS = st.lists(st.sampled_from(PARTS), max_size=6).map("".join)


@pytest.mark.parametrize("policy", [CREDENTIALS, QUERIES], ids=lambda one: one.level)
@given(texts=st.lists(TEXTS, max_size=4), times=st.sampled_from([1, 300]))
def test_the_search_for_hints_changes_no_result(
    policy: RedactionPolicy, texts: list[str], times: int
) -> None:
    found, _ = redact(pa.table({"Error": pa.array(texts * times, pa.string())}), policy)
    assert found["Error"].to_pylist() == searched_everywhere(texts, policy) * times


@pytest.mark.parametrize("text", HARMLESS)
def test_other_text_stays(text: str) -> None:
    assert redact_text(text, CREDENTIALS) == text


def test_queries_lose_all_values() -> None:
    assert redact_text("wss://h/p?room=7&user=me#x", QUERIES) == (
        "wss://h/p?room=[redacted:query]&user=[redacted:query]#x"
    )


def test_off_leaves_everything() -> None:
    for text in SECRETS:
        assert redact_text(text, RedactionPolicy("off")) == text


def test_each_text_is_counted_by_kind() -> None:
    table = pa.table({"Error": [JWT, None, "fine", JWT, "?sig=a"], "n": [1, 2, 3, 4, 5]})
    clean, counts = redact(table, CREDENTIALS)
    assert counts == {"jwt": 2, "parameter": 1}
    assert clean["Error"].to_pylist() == [
        "[redacted:jwt]",
        None,
        "fine",
        "[redacted:jwt]",
        "?sig=[redacted:parameter]",
    ]
    assert clean["n"].to_pylist() == [1, 2, 3, 4, 5]


def test_hashes_are_stable_and_depend_on_the_key() -> None:
    table = pa.table({"Source": ["a", "b", None, "a"]})
    first, other = (
        redact(table, RedactionPolicy(hash_columns=("Source",), hash_key=key))[0]["Source"].to_pylist()
        for key in (b"one", b"two")
    )
    assert first[0] == first[3] != first[1]
    assert first[2] is None
    assert len(first[0]) == 32
    assert first[0] != other[0]


def test_dropped_columns_are_empty() -> None:
    table, _ = redact(pa.table({"Source": ["a", None]}), RedactionPolicy(drop_columns=("Source",)))
    assert table["Source"].to_pylist() == [None, None]


HOSTILE: tuple[Callable[[int], str], ...] = (
    lambda n: "?token=" * n,
    lambda n: "a" * n + "://" + "b" * n,
    lambda n: "eyJ" + "a" * n + "." + "b" * n,
    lambda n: "eyJaaaaa." * n,
    lambda n: "bearer " * n,
    lambda n: '{"token":"' + "\\" * n,
    lambda n: "://" * n,
    lambda n: "&" * n + "=",
)


@pytest.mark.parametrize("hostile", HOSTILE)
def test_redaction_takes_time_linear_in_the_length(hostile: Callable[[int], str]) -> None:
    def spent(length: int) -> float:
        text = hostile(length)
        best = float("inf")
        for _ in range(3):
            began = time.process_time()
            redact_text(text, QUERIES)
            best = min(best, time.process_time() - began)
        return best

    assert spent(400_000) < 16 * spent(100_000) + 0.05, "four times as long; quadratic would be 16 times"


def test_a_secret_is_nowhere_in_a_commit_except_dead_letters() -> None:
    secret = "hunter2hunter2"
    bodies = [record(0, index) for index in range(4)]
    bodies[0]["properties"]["source"] = f"wss://h/p?token={secret}"
    bodies[1]["properties"]["error"] = f"Bearer {secret}"
    bodies[2]["properties"]["extra"] = {"password": secret}
    policy = ExportPolicy(formats=("parquet", "json"))
    made = plan.plan_commit(
        PARTITION,
        [envelope(0, EPOCH + MINUTE, *bodies)],
        Ledger(ledger_id="x", partition=str(PARTITION)),
        Nothing(),
        policy,
        Stamp("c" * 32, 1),
    )
    assert made
    assert made.counts.rows == 4
    assert made.counts.redacted == {"bearer": 1, "parameter": 1, "property": 1}
    tables = [pa.BufferReader(file.data) for file in made.files if file.pending.name.endswith(".parquet")]
    for table in map(pa.parquet.read_table, tables):
        for column in table.columns:
            if column.type == pa.string():
                assert not pc.any(pc.match_substring(column, secret)).as_py()
    for file in made.files:
        assert secret.encode() not in file.data
    assert made.segment
    assert secret.encode() not in made.segment
