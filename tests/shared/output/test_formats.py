import pyarrow as pa

from shared.output import json_lines, parquet
from tests.shared.output.made import table


def test_equal_rows_give_equal_bytes_for_any_chunks() -> None:
    whole = table(100)
    pieces = pa.concat_tables([whole.slice(0, 7), whole.slice(7)])
    assert parquet.encode(whole, {"a": "b"}, "snappy") == parquet.encode(pieces, {"a": "b"}, "snappy")
    assert json_lines.encode(whole, {}, "snappy") == json_lines.encode(pieces, {}, "snappy")
