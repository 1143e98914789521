"""Stands in for the Azure Functions host: runs a Python function app with Microsoft's worker library.

    python -m local.functions --app DIR [--settings local.settings.json] [--name NAME]

The host process reads host.json and starts a worker process, which holds `azure-functions-runtime` and the
app; both talk over a socket pair. What is reproduced, from Microsoft's public source and documents (named
in each module):

- Event Hubs trigger (`event_hub_trigger`, `batches`, `metadata`): one batch at a time per source, sources
  side by side, balanced over hosts by ownership blobs in `azure-webjobs-eventhub`; batch sizes and waits of
  host.json; a checkpoint after every invocation, success or failure; none for what was in flight when a
  stop began, so that it comes again (as since extension 6.2).
- Retry policy (`retry`, `invocations`): the same batch again, in memory, with the checkpoint held back; a
  finite number of retries loses the batch at its end, a stop in between does not.
- Time-out and crash (`workers`): the worker process is killed at host.json `functionTimeout`, and replaced
  whenever it dies; everything in flight in it fails. A worker never outlives its host.
- Timer trigger (`timer_trigger`, `schedule`, `lease`): NCRONTAB or a time span, in one host at a time.

Not reproduced: scaling, other triggers, inputs and outputs, cardinality one, other data types than binary,
identity-based connections, checkpoints every so many batches, missed timer occurrences, log levels of
host.json, the protobuf edge of the real worker. It was not compared with the real host.

Standard output is one JSON object per line, each with `event` and `host`: `ready` (`functions`,
`worker_pid`), `claimed` and `released` (`function`, `source`), `invocation` (`function`, `ok`, `retry`,
`seconds`, `error`; of a batch `source`, `first`, `last`, `count`; of a timer whether it was `scheduled`),
`checkpoint` (`function`, `source`, `sequence`), `worker_restarted` (`worker_pid`, `status`, `failed`),
`stopping`, `refused` (`function`, `error`), `stopped` (`status`, `error`). A source is
`namespace/hub/partition id`. Standard error has the logs of both processes. A timer function's name on
standard input fires it at once.
"""
