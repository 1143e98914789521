"""Creates the report: a page with charts of the exported records of a time range.

The data flow, one day of output at a time, so that memory and disk do not grow with the length of the range:

    write.write            the shell: progress, errors, the file
      -> locations         the files of a day, in storage or in a folder
      -> database          loads rows into DuckDB (load.sql), then aggregates them (aggregates.sql)
      -> page              renders aggregates, styles and scripts as one HTML file
           page.html, page.css, load.js, aggregates.js, zoom.js, plots.js, page.js

DuckDB and the chart library are not part of the function app (see requirements-report.txt).
"""

from importlib.util import find_spec

from shared.errors import ReportError

if missing := [one for one in ("duckdb", "vl_convert") if find_spec(one) is None]:
    raise ReportError(
        f"{' and '.join(missing)} not found: pip install -r requirements-report.txt, or install '.[report]'"
    )
