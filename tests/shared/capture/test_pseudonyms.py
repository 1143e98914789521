"""A pseudonym has the form of the original, is always the same, and belongs to one original only."""

import re
import string
from ipaddress import ip_address, ip_network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.capture.pseudonyms import Pseudonyms

NAMES = Pseudonyms(b"secret")
GUID = "0b5f3c6e-8f5d-4f0e-9a53-3d1c2b7a9e10"


def form(text: str) -> str:
    """The text with one letter for each kind of character."""
    for pattern, kind in (("[a-z]", "a"), ("[A-Z]", "A"), ("[0-9]", "0")):
        text = re.sub(pattern, kind, text)
    return text


@given(st.text(string.ascii_letters + string.digits + "-_", min_size=3, max_size=30))
def test_a_word_keeps_its_form_and_letter_case(text: str) -> None:
    new = NAMES.word(text)
    assert form(new) == form(text)
    assert NAMES.word(text.upper()) == new.upper()
    assert NAMES.word(text) == new


def test_zeros_inside_a_number_are_replaced_too() -> None:
    assert set(NAMES.word("9" + "0" * 29)[1:]) > {"0"}


@given(st.text("äßжλ中文😀é", min_size=1, max_size=8))
def test_other_scripts_keep_their_length_in_bytes(text: str) -> None:
    new = NAMES.word(text)
    assert [len(one.encode()) for one in new] == [len(one.encode()) for one in text]
    assert all(one.upper().lower() == one for one in new), "capitalization can be undone"


def test_a_letter_whose_lower_case_is_shorter_keeps_its_length() -> None:
    kelvin = chr(0x212A)
    assert len(kelvin.lower().encode()) < len(kelvin.encode()) == len(NAMES.word(kelvin).encode())


def test_hexadecimal_stays_hexadecimal_and_other_words_use_all_letters() -> None:
    names = [Pseudonyms(bytes([n])) for n in range(20)]
    assert all(re.fullmatch("[0-9a-f]{12}", name.word("deadbeef0123")) for name in names)
    assert set("".join(name.word("feedface") for name in names)) - set("abcdef")


def test_short_words_are_distinct_as_long_as_possible() -> None:
    names = Pseudonyms(b"another")
    digits = [str(n) for n in range(100, 300)]
    found = [names.word(one) for one in digits]
    assert len(set(found)) > 195
    assert not [one for one, new in zip(digits, found, strict=True) if one == new or new.startswith("0")]


def test_nothing_is_its_own_replacement() -> None:
    for secret in range(10):
        names = Pseudonyms(bytes([secret]))
        found = {letter: names.word(letter) for letter in "abcdefghijklm"}
        assert not [letter for letter, new in found.items() if letter == new]


def test_replacements_depend_on_the_secret() -> None:
    assert Pseudonyms(b"a").word("contoso") != Pseudonyms(b"b").word("contoso")
    assert Pseudonyms(b"a").word("contoso") == Pseudonyms(b"a").word("contoso") != "contoso"


@pytest.mark.parametrize("text", [GUID, GUID.upper(), GUID.replace("-", "")])
def test_a_uuid_keeps_its_version_and_variant(text: str) -> None:
    new = NAMES.guid(text)
    digits, before = new.replace("-", ""), text.replace("-", "")
    assert (len(new), new.count("-"), new.isupper()) == (len(text), text.count("-"), text.isupper())
    assert (digits[12], digits[16]) == (before[12], before[16])
    assert digits.lower() == NAMES.guid(GUID).replace("-", "") != before.lower()
    assert NAMES.guid("0" * 32) == "0" * 32


def test_addresses_become_addresses_for_documentation() -> None:
    four = [NAMES.address(f"10.0.{n // 200}.{n % 200}") or "" for n in range(1000)]
    ranges = [
        ip_network(one) for one in ("192.0.2.0/24", "198.51.100.0/24", "203.0.113.0/24", "198.18.0.0/15")
    ]
    assert len(set(four)) == 1000
    assert all(any(ip_address(one) in among for among in ranges) for one in four)
    assert ip_address(four[0]) in ranges[0]
    assert not [one for one in four if one.endswith((".0", ".255"))]
    assert ip_address(NAMES.address("2a00:1450::7") or "") in ip_network("2001:db8::/32")
    assert [NAMES.address(one) for one in ("127.0.0.1", "::1", "1.2.3.999")] == ["127.0.0.1", "::1", None]


def test_hosts_keep_their_shared_suffix_only() -> None:
    suffix = NAMES.host("contoso.azure-api.net")
    assert suffix == f"{NAMES.word('contoso')}.azure-api.net"
    assert NAMES.host("chat.contoso.com").split(".") == [
        *(NAMES.word("chat"), NAMES.word("contoso"), NAMES.word("com"), "example")
    ]
    assert NAMES.host("azure-api.net") == "azure-api.net"


def test_resource_ids_keep_types_and_providers() -> None:
    text = f"/SUBSCRIPTIONS/{GUID}/resourceGroups/service/providers/Microsoft.ApiManagement/service/apis"
    found = NAMES.resource(text).split("/")
    assert found[1::2][:1] == ["SUBSCRIPTIONS"]
    assert (found[2], found[3], found[5:8]) == (
        NAMES.guid(GUID),
        "resourceGroups",
        ["providers", "Microsoft.ApiManagement", "service"],
    )
    assert (found[4], found[8]) == (NAMES.word("service"), NAMES.word("apis"))


def test_identifiers_inside_text_are_replaced_alike() -> None:
    text = f"alice@contoso.com from 10.9.8.7 to wss://u:p@chat.contoso.com:8443/r?x={GUID} failed 1006 12345"
    new = NAMES.text(text, frozenset({"from", "to", "failed"}))
    assert new.startswith(
        f"{NAMES.word('alice')}@{NAMES.host('contoso.com')} from {NAMES.address('10.9.8.7')} to wss://"
    )
    assert f"@{NAMES.host('chat.contoso.com')}:8443/" in new
    assert new.endswith(f"={NAMES.guid(GUID)} failed 1006 {NAMES.word('12345')}")


def test_deeply_nested_urls_are_masked_as_words() -> None:
    text = "a://b.c/?u=" * 6 + "contoso.com"
    new = NAMES.text(text, frozenset({"contoso", "com", "b", "c"}))
    assert "contoso" not in new
    assert new.count(".example") == 4
    assert len(NAMES.text("://" * 5000)) == 15_000


def test_numbers_keep_sign_point_and_exponent() -> None:
    new = NAMES.number("-120.50e-7")
    assert re.fullmatch(r"-[1-9]\d\d\.\d\de-7", new)
    assert new != "-120.50e-7"
