"""Stands in for the Azure Functions host: runs a Python function app with Microsoft's worker library.

    python -m local.emulators.functions_host --app DIR [--settings local.settings.json] [--name NAME]

The host process reads host.json and starts a worker process, which holds `azure-functions-runtime` and
the app; both talk over a socket pair. A real host (4.1037, with the .NET client and the WebJobs SDK) was
run on the same storage and broker, and what it was seen to do is done here, also where it does harm. The
tests compare the two.

- Event Hubs trigger (`event_hub_trigger`, `partition`, `batches`, `checkpoints`, `metadata`): one batch
  at a time for each partition, partitions balanced over hosts by ownership blobs; batch sizes and waits
  of host.json; a checkpoint after every invocation, success or failure. Who loses a partition goes on
  retrying, and in the end writes its older checkpoint over a newer one. A checkpoint that cannot be
  written after a partial batch puts the partition to sleep. An offset beyond the hub's last is refused
  until the hub has outgrown it. Bodies that are no bytes fail in binding, without a call.
- Retry policy (`retry`, `invocations`): the same batch again, in memory, with the checkpoint held back.
- Time-out and crash (`workers`): a time-out kills the worker, and what else ran on it hangs until its own
  time-out; a crash fails everything in flight. A worker never outlives its host.
- Timer trigger (`timer_trigger`, `schedule`, `schedule_status`, `lease`): NCRONTAB or a time span, on one
  host at a time; an occurrence that was missed is made up for at the start, with `IsPastDue`.
- Start, drain and stop (`host`): an app that cannot be imported leaves a host without functions. A drain
  waits for full batches in flight, including retries, perhaps forever. SIGTERM waits for invocations in
  flight, with the listeners running; what ends from then on is not checkpointed.

Not reproduced: scaling, other triggers, inputs and outputs, cardinality one, other data types than
binary, identity-based connections, checkpoints every so many batches, log levels of host.json, what the
host itself sends to Application Insights, the protobuf edge of the real worker.

Standard output is one JSON object per line, each with `event` and `host`: `ready` (`functions`,
`worker_pid`), `indexing_failed` (`error`), `claimed` and `released` (`function`, `partition`, `reason`),
`invocation` (`function`, `ok`, `retry`, `seconds`, `error`; of a batch `partition`, `first`, `last`,
`count`; of a timer whether it was `scheduled`), `checkpoint` and `checkpoint_failed` (`function`,
`partition`, `sequence`), `receive_failed` and `balancing_failed` (`error`), `worker_restarted`
(`worker_pid`, `status`, `failed`), `draining`, `drained`, `stopping`, `listeners_stopped`, `refused`
(`function`, `error`), `stopped` (`status`, `error`). A partition is `namespace/hub/partition id`. Standard
error has the logs of both processes. On standard input, a timer function's name fires it at once, and
`drain` stops the listeners.
"""
