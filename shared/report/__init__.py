"""The report: a page with plots of what was exported in a range of time.

How the data flows, a day of output at a time so that neither memory nor disk goes by the length of the range:

    write.write            the shell: progress, errors, the file
      -> places            which files of a day there are, in storage or in a folder
      -> database          their rows into DuckDB (load.sql), then small sums of them (aggregates.sql)
      -> page              the sums, styles and scripts as one HTML file
           page.html, page.css, aggregates.js, plots.js, page.js

DuckDB and the plots are no part of the function app: requirements-report.txt.
"""

from importlib.util import find_spec

from shared.errors import ReportError

if missing := [one for one in ("duckdb", "vl_convert") if find_spec(one) is None]:
    raise ReportError(f"{' and '.join(missing)} not found: pip install -r requirements-report.txt")
