"""The exporter: WebSocket connection logs of API Management, from an Event Hub to Blob Storage, once each.

How the data flows:

    function_app.export_logs            the trigger
      -> trigger                        events -> partition, envelopes
      -> export                         the shell: load ledger, plan, stage, commit, publish
           plan                         pure: what one commit makes visible
             selection                  which envelopes are new
             records/                   envelopes -> table | rejections
             durations/connections      table -> table with the age of each connection, observations
             layout, formats            table -> folders -> bytes
           storage, commit              stage, write the ledger, publish
    function_app.finish_connections     a timer
      -> durations/finish               the shell: merge observations, write finished connections, mend
    function_app.compact_logs           a timer
      -> compaction/compact             the shell: one large file in place of many small ones

Everywhere: settings (alone in reading the environment), rules, schema, envelope, ledger, errors, telemetry;
storage and hub, alone in reaching Azure.

Beside it, for operators: `python -m shared` (commands/), which looks (status, report/, audit/), takes dead
letters through today's code (replay), lets a partition go on whose ledger was lost (accept), prints the
tables (schema, dialects, views/), and saves envelopes as fixtures (capture/).
"""

__version__ = "0.1.0"
