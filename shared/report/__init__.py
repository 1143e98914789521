"""The report: a page with charts of what was exported in a time range.

The data flow, one day of output at a time, so that memory and disk do not grow with the length of the range:

    write.write            the shell: progress, errors, the file
      -> places            which files of a day there are, in storage or in a folder
      -> database          their rows into DuckDB (load.sql), then small sums of them (aggregates.sql)
      -> page              the sums, styles and scripts as one HTML file
           page.html, page.css, aggregates.js, plots.js, page.js

DuckDB and the chart library are not part of the function app (see requirements-report.txt).
"""

from importlib.util import find_spec

from shared.errors import ReportError

if missing := [one for one in ("duckdb", "vl_convert") if find_spec(one) is None]:
    raise ReportError(f"{' and '.join(missing)} not found: pip install -r requirements-report.txt")
