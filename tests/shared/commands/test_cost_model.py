"""Costs follow from prices and amounts, and a file of prices in another form is rejected."""

from dataclasses import asdict

import orjson
import pytest

from shared.__main__ import main
from shared.commands import cost_model
from shared.commands.cost_model import DERIVED, LINES, OTHERS, Price, Workload

PRICES = {
    name: Price(2, 10, "unit", "source") for name in {price for _, price in LINES.values()} | {"capture"}
}


def encoded(**more: object) -> bytes:
    return orjson.dumps({"prices": {name: asdict(price) for name, price in PRICES.items()} | more})


def test_prices_are_loaded_from_json() -> None:
    assert cost_model.prices(encoded()) == PRICES


@pytest.mark.parametrize(
    "data", [b"", b"[]", b"{}", b'{"prices": []}', encoded(write={"cost": 1}), encoded(write=None)]
)
def test_prices_in_another_form_are_rejected(data: bytes) -> None:
    with pytest.raises(ValueError, match=r"expected a file in the format of .*prices.json"):
        cost_model.prices(data)


def test_a_missing_price_is_named() -> None:
    found = orjson.loads(encoded())
    del found["prices"]["write"], found["prices"]["logs"]
    with pytest.raises(ValueError, match="no price for logs, write"):
        cost_model.prices(orjson.dumps(found))


@pytest.mark.parametrize(
    ("price", "label"), [(0.4, "0.4 for 10"), (20, "20 for 10"), (0.0000019, "0.000002 for 10")]
)
def test_a_label_shows_no_trailing_zeros(price: float, label: str) -> None:
    assert Price(price, 10, "unit", "source").label == label


def test_amounts_cost_their_share_of_the_price_to_the_cent() -> None:
    assert Price(2, 10, "unit", "source").of(7.024) == 1.4
    lines = cost_model.lines(Workload(), PRICES)
    assert [line.cost for line in lines] == [round(line.amount / 5, 2) for line in lines]
    assert cost_model.total(Workload(), PRICES) == round(sum(line.cost for line in lines), 2)


def test_formulas_use_the_symbols_of_the_workload() -> None:
    values = cost_model.values(Workload(R=100, r=2))
    assert values["E"] == 100 * 30.4 / 2
    assert values.keys() >= DERIVED.keys()
    assert cost_model.evaluate("max(a, min(b, 3))", {"a": 1, "b": 9}) == 3


def test_other_destinations_are_the_sum_of_their_items() -> None:
    values = cost_model.values(Workload())
    for name, cost in cost_model.others(Workload(), PRICES).items():
        amounts = [cost_model.evaluate(formula, values) for formula in OTHERS[name].values()]
        assert cost == pytest.approx(sum(amounts) / 5, abs=0.05)


def test_the_output_of_the_command_fits_the_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["cost"]) == 0
    assert max(len(line) for line in capsys.readouterr().out.splitlines()) <= 80
