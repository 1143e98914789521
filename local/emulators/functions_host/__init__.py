"""Stands in for the Azure Functions host: runs a Python function app with Microsoft's worker library.

    python -m local.emulators.functions_host --app DIR [--settings local.settings.json] [--name NAME]

The host process reads host.json and starts a worker process, which loads `azure-functions-runtime` and
the app; the two communicate over a socket pair. A real host (4.1037, with the .NET client and the WebJobs
SDK) was run with the same storage and broker. This package reproduces its observed behavior, including its
faults, and the tests compare the two.

- Event Hubs trigger (`event_hub_trigger`, `partition`, `batches`, `checkpoints`, `metadata`): one batch
  at a time for each partition, partitions balanced over hosts by ownership blobs; batch sizes and waits
  of host.json; a checkpoint after every invocation, whether it succeeds or fails. A host that loses a
  partition keeps retrying, and finally overwrites a newer checkpoint with its older one. If a checkpoint
  cannot be written after a partial batch, the partition stops delivering partial batches. An offset beyond
  the hub's last is refused until the hub has grown beyond it. Bodies that are not binary fail in binding,
  and the function is not called.
- Retry policy (`retry`, `invocations`): the same batch is retried in memory, and its checkpoint waits.
- Timeout and crash (`worker_handle`): a timeout kills the worker, and everything else that ran on it
  hangs until its own timeout; a crash fails everything in flight. A worker never outlives its host.
- Timer trigger (`timer_trigger`, `schedule`, `schedule_status`, `lease`): NCRONTAB or a time span, on one
  host at a time; a missed occurrence is made up for at the start, with `IsPastDue`.
- Start, drain and stop (`host`): if an app cannot be imported, its host has no functions. A drain waits for
  full batches in flight, including retries, possibly forever. SIGTERM waits for invocations in flight while
  the listeners keep running; invocations that end after the signal write no checkpoint.

Not reproduced: scaling, other triggers, inputs and outputs, cardinality one, data types other than binary,
identity-based connections, `batchCheckpointFrequency` above 1, log levels of host.json, the telemetry that
the host itself sends to Application Insights, the protobuf interface of the real worker.

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
