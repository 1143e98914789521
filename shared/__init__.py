"""Exports WebSocket connection logs of API Management from an Event Hub to Blob Storage, exactly once.

How the data flows:

    function_app.export_logs               the trigger
      -> input/trigger                     events -> partition, envelopes
      -> export/exporter                   the shell: load ledger, plan, stage, commit, publish
           export/plan                     pure: plans one commit
             protocol/selection            which envelopes are new
             input/validation              envelopes -> table | rejections
             connections/observations      table -> table with durations, observations
             output/layout, output/formats table -> folders -> bytes
           protocol/publishing             publishes the files that the ledger lists
    function_app.finish_connections        a timer
      -> connections/timer                 the shell: merge observations, write finished connections, repair
    function_app.compact_logs              a timer
      -> compaction/compactor              the shell: replace many small files with a few large ones
           compaction/delta_tables         keeps the Delta logs (delta/) in line with the folders

Used everywhere: settings/ (nothing else reads the environment), policies, tables/, errors, clock, telemetry.
azure/ is the only package that reaches Blob Storage and Event Hubs.

For operators, `python -m shared` (commands/) reports (status, matching/, report/, audit/), repairs (replay,
redeliver, accept-ledger, reset-checkpoint), erases rows (erasure/), converts files (convert/), prints the
tables (tables/), and saves envelopes as fixtures (capture/).
"""

__version__ = "0.1.0"
