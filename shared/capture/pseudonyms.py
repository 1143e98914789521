"""Replaces identifiers with consistent, irreversible pseudonyms of the same format.

Everything that is not on the allowlist is replaced. A replacement depends on the value in lower case and on
a secret, so it is the same for `RG-PROD` and `rg-prod`, alone or as part of an address.
"""

import hashlib
import re
from collections.abc import Callable
from ipaddress import IPv4Network, IPv6Address, ip_address
from itertools import chain
from unicodedata import category

_DOCUMENTATION = [IPv4Network(one) for one in ("192.0.2.0/24", "198.51.100.0/24", "203.0.113.0/24")]
"""Addresses reserved for documentation (RFC 5737). After these, those for benchmarks (RFC 2544) are used."""
_BENCHMARK = IPv4Network("198.18.0.0/15")
_DOCUMENTATION_6 = 0x20010DB8 << 96
"""2001:db8::/32 (RFC 3849)."""
_NOBODY = {"0.0.0.0", "127.0.0.1", "::", "::1"}  # noqa: S104 - addresses that identify nobody
_SCHEMES = {"http", "https", "ws", "wss", "amqp", "amqps", "sb", "abfss", "tcp"}
_SUFFIXES = (
    *("azure-api.net", "azure-api.us", "azure-api.cn", "servicebus.windows.net", "core.windows.net"),
    *("windows.net", "azurewebsites.net", "azure.com", "azurefd.net", "azurecontainerapps.io"),
    *("trafficmanager.net", "signalr.net", "microsoft.com", "microsoftonline.com", "example", "localhost"),
)
"""Domain suffixes that are shared by many customers."""
_TYPES = {
    *("service", "apis", "operations", "gateways", "backends", "products", "loggers", "diagnostics"),
    *("workspaces", "namespaces", "eventhubs", "sites", "storageaccounts", "deployments"),
}
"""Resource types that may stay. A resource name that equals one is still replaced."""
_ATTEMPTS = 16
_NESTED = 4
"""Maximum levels of URLs in URLs that are parsed; deeper levels are treated as words."""
_LITERALS = {"null", "true", "false", "nan", "inf", "infinity"}
_SHORT = 4
"""Maximum digits of a number that may stay in text: status codes have up to four."""

_GUID = r"(?<![0-9a-z])[0-9a-f]{8}-?[0-9a-f]{4}-?[0-9a-f]{4}-?[0-9a-f]{4}-?[0-9a-f]{12}(?![0-9a-z])"
_WORD = r"[^\W_](?:[\w-]*[^\W_])?|[^\x00-\x7f]"
FOUND = re.compile(
    r"(?P<url>[a-z][a-z0-9+.-]{0,20}://[^\s\"'<>\\^`{|}]*)"
    r"|(?P<mail>[\w.+-]{1,64}@[\w-]{1,63}(?:\.[\w-]{1,63}){0,8})"
    r"|(?P<resource>(?:/|(?<![\w.-]))subscriptions/[^\s\"'<>?#,;()]*)"
    rf"|(?P<guid>{_GUID})"
    r"|(?P<time>(?<!\d)\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d:\d\d(?:\.\d{1,9})?(?:[Zz]|[+-]\d\d:?\d\d)?)"
    r"|(?P<address6>(?<![\w:.])[0-9a-f:]{0,40}:[0-9a-f:]{0,40}:[0-9a-f:.]{0,40})"
    r"|(?P<address4>(?<![\w.])\d{1,3}(?:\.\d{1,3}){3}(?!\w|\.\d))"
    r"|(?P<host>(?<![\w.-])(?:[a-z0-9_][a-z0-9_-]{0,62}\.){1,10}[a-z]{2,63}(?![\w-]))"
    rf"|(?P<word>{_WORD})",
    re.IGNORECASE,
)
"""Identifiers that text may contain, the most specific forms first. Bounded, because text may be hostile."""
_URL = re.compile(
    r"([a-z0-9+.-]+)://(?:([^/@?#]*)@)?(\[[^\]]*\]|[^/:?#]*)(:\d{1,5}(?!\d))?(.*)", re.IGNORECASE | re.DOTALL
)
_PARTS = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|\d+")


class Pseudonyms:
    """The replacements of one capture."""

    def __init__(self, secret: bytes, shift: Callable[[str], str] = str) -> None:
        """`secret`: random bytes that must never be stored. `shift`: replaces a time inside text."""
        self._secret = secret
        self._shift = shift
        self._known: dict[tuple[str, str], str] = {}
        self._taken: set[tuple[str, str]] = set()
        self._addresses = chain(*_DOCUMENTATION, _BENCHMARK)

    def text(self, text: str, keep: frozenset[str] = frozenset(), *, depth: int = 0) -> str:
        """Replaces everything that may identify somebody, except short numbers and words of `keep`.

        `keep`: words in lower case; if empty, every letter and digit is replaced. `depth`: number of URLs
        around the text.
        """

        def replaced(match: re.Match[str]) -> str:
            found, new = match[0], None
            match match.lastgroup:
                case "url":
                    new = self._url(found, keep, depth)
                case "mail":
                    name, _, host = found.partition("@")
                    new = f"{self.word(name)}@{self.host(host)}"
                case "resource":
                    new = self.resource(found)
                case "guid":
                    new = self.guid(found)
                case "time":
                    new = self._shift(found)
                case "address4" | "address6":
                    new = self.address(found)
                case "host":
                    kept = keep and all(_allowed(one, keep) for one in found.split("."))
                    new = found if kept else self.host(found)
            return re.sub(_WORD, lambda one: self._word(one[0], keep), found) if new is None else new

        return FOUND.sub(replaced, text)

    def word(self, text: str) -> str:
        """Replaces letters with letters and digits with digits; keeps case, punctuation and byte length."""
        folded = "".join(map(_lower, text))
        hexadecimal = re.fullmatch(r"(?=.*\d)(?=.*[a-f])[0-9a-f]{8,}", folded)
        letters = "abcdef" if hexadecimal else "abcdefghijklmnopqrstuvwxyz"
        return _cased(
            self._unused("word", folded, lambda digest: _spelled(folded, digest, letters), len(folded)), text
        )

    def number(self, text: str) -> str:
        """Returns a number with the same number of digits, sign, decimal point and exponent."""
        sign, mantissa, rest = re.fullmatch(r"(-?)([\d.]*)(.*)", text, re.DOTALL).groups()  # type: ignore[union-attr]
        return f"{sign}{self.word(mantissa)}{rest}"

    def guid(self, text: str) -> str:
        """Returns another UUID of the same version."""
        digits = text.replace("-", "").lower()
        if not digits.strip("0"):
            return text

        def spelled(digest: bytes) -> str:
            found = digest[:16].hex()
            return f"{found[:12]}{digits[12]}{found[13:16]}{digits[16]}{found[17:]}"

        replaced = iter(self._unused("guid", digits, spelled, 16))
        new = "".join("-" if one == "-" else next(replaced) for one in text)
        return new if text.lower() == text else new.upper()

    def address(self, text: str) -> str | None:
        """Returns an address from a documentation range, or None if the text is not an address."""
        try:
            found = ip_address(text)
        except ValueError:
            return None
        if str(found) in _NOBODY:
            return text
        if isinstance(found, IPv6Address):
            return self._unused(
                "address",
                str(found),
                lambda digest: str(IPv6Address(_DOCUMENTATION_6 | int.from_bytes(digest[:12]))),
                12,
            )
        if ("address", str(found)) not in self._known:
            given = (str(one) for one in self._addresses if not str(one).endswith((".0", ".255")))
            self._known["address", str(found)] = next(one for one in given if one != str(found))
        return self._known["address", str(found)]

    def host(self, text: str) -> str:
        """Replaces each label of a host name; keeps a shared suffix, or appends `example` (RFC 2606)."""
        folded = text.lower()
        for suffix in _SUFFIXES:
            if folded == suffix:
                return text
            if folded.endswith(f".{suffix}"):
                labels = text[: -len(suffix) - 1].split(".")
                return ".".join([*map(self.word, labels), text[-len(suffix) :]])
        return ".".join([*map(self.word, text.split(".")), "example"])

    def resource(self, text: str) -> str:
        """Replaces the names in a resource id; providers and types stay."""
        segments = text.split("/")
        out: list[str] = []
        name_next = False
        for segment in segments:
            folded = segment.lower()
            known = folded in {"subscriptions", "resourcegroups", *_TYPES}
            provider = folded == "providers" or bool(re.fullmatch(r"microsoft\.[a-z.]{1,60}", folded))
            stays = not name_next and (known or provider)
            out.append(segment if stays else self._segment(segment))
            name_next = known and not name_next
        return "/".join(out)

    def _segment(self, text: str) -> str:
        return self.guid(text) if re.fullmatch(_GUID, text, re.IGNORECASE) else self.word(text)

    def _url(self, text: str, keep: frozenset[str], depth: int) -> str:
        found = _URL.fullmatch(text) if depth < _NESTED else None
        if not found:
            return re.sub(_WORD, lambda one: self.word(one[0]), text)
        scheme, user, host, port, rest = found.groups()
        scheme = scheme if scheme.lower() in _SCHEMES else self.word(scheme)
        user = "" if user is None else f"{self.text(user, depth=depth + 1)}@"
        if host.startswith("["):
            host = f"[{self.address(host[1:-1]) or self.word(host[1:-1])}]"
        else:
            host = self.address(host) or (self.host(host) if "." in host else self._word(host, keep))
        return f"{scheme}://{user}{host}{port or ''}{self.text(rest, depth=depth + 1)}"

    def _word(self, text: str, keep: frozenset[str]) -> str:
        return text if keep and _allowed(text, keep) else self.word(text)

    def _unused(self, kind: str, value: str, spelled: Callable[[bytes], str], size: int) -> str:
        """Returns the replacement of a value; replacements are unique as long as there are enough of them."""
        known = self._known.get((kind, value))
        if known is None:
            for attempt in range(_ATTEMPTS):
                seed = self._secret + f"{kind}\0{attempt}\0{value}".encode("utf-8", "surrogatepass")
                known = spelled(hashlib.shake_256(seed).digest(max(size, 16)))
                if known != value and known not in _LITERALS and (kind, known) not in self._taken:
                    break
            assert known is not None
            self._taken.add((kind, known))
            self._known[kind, value] = known
        return known


def _allowed(word: str, keep: frozenset[str]) -> bool:
    """Whether a word, or each of its parts, may stay."""
    bare = word.replace("-", "").replace("_", "")
    parts = _PARTS.findall(bare)
    return "".join(parts) == bare and all(
        len(one) <= _SHORT if one.isdigit() else one.lower() in keep for one in parts
    )


def _spelled(folded: str, digest: bytes, letters: str) -> str:
    out = []
    leading = True
    for one, chance in zip(folded, digest, strict=False):
        if "a" <= one <= "z":
            out.append(letters[chance % len(letters)])
        elif "0" <= one <= "9":
            # A number keeps its form: a leading zero neither appears nor disappears.
            out.append(str(chance % 10) if not leading else one if one == "0" else str(1 + chance % 9))
            leading = False
        elif one.isascii() or category(one)[0] in "CPZ":
            out.append(one)
        else:
            out.append(chr({2: 0x3B1, 3: 0x4E01, 4: 0x20001}[len(one.encode())] + chance % 17))
    return "".join(out)


def _lower(letter: str) -> str:
    folded = letter.lower()
    return (
        folded
        if len(folded) == 1
        and len(folded.encode("utf-8", "replace")) == len(letter.encode("utf-8", "replace"))
        else letter
    )


def _cased(text: str, like: str) -> str:
    """Returns the text with the capitalization of the original."""
    return "".join(one.upper() if other.isupper() else one for one, other in zip(text, like, strict=True))
