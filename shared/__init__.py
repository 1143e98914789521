"""The exporter: WebSocket connection logs of API Management, from an Event Hub to Blob Storage, once each.

How the data flows:

    function_app.export_logs          the trigger
      -> export.Exporter.run          the shell: load ledger, plan, stage, commit, publish
           plan.make                  pure: what one commit makes visible
             ledger.select            which envelopes are new
             validation.validate      envelopes -> table | rejections (envelope.records opens them)
             connections.enrich       table -> table with the age of each connection, observations
             layout.split             table -> partitions
             formats.parquet, ...     partition -> bytes
           storage                    stage, write the ledger, publish
"""

__version__ = "0.1.0"
