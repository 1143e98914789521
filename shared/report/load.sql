-- Adds the files of one day. Variables: files, since, until (µs since 1970 UTC), first and step of the bars.

-- name: prepare
CREATE MACRO text(value, characters) AS coalesce(nullif(left(trim(value), characters), ''), '(none)');
-- Forty bins to a power of ten, in milliseconds; -1 is below one.
CREATE MACRO bin(ms) AS CASE WHEN ms < 1 THEN -1 ELSE least(floor(40 * log10(ms))::INTEGER, 439) END;
CREATE TABLE connections (
    resource VARCHAR, id VARCHAR, began BIGINT, ended BIGINT, ms DOUBLE, status VARCHAR,
    destination VARCHAR, region VARCHAR, error VARCHAR, events BIGINT, partition VARCHAR, estimate DOUBLE
);
CREATE TABLE closings (name VARCHAR PRIMARY KEY);
CREATE TABLE seen (
    resource VARCHAR, id VARCHAR, began BIGINT, latest BIGINT, event VARCHAR, destination VARCHAR, region VARCHAR,
    events BIGINT, partition VARCHAR
);
-- Of the connections of each day with several records, how many have several values of a column.
CREATE TABLE several (connections BIGINT, destination BIGINT, partition BIGINT);
CREATE TABLE delays (leg VARCHAR, bar INTEGER, bin INTEGER, n BIGINT, most DOUBLE);
CREATE TABLE rejected (bar INTEGER, reason VARCHAR, n BIGINT, example VARCHAR);
CREATE TABLE commits (filename VARCHAR, committed BIGINT);

-- name: connections
-- A late record makes a new revision in the folder of the first one, so that a day has all of them.
INSERT INTO connections
SELECT
    coalesce(_ResourceId, ''), CorrelationId, epoch_us(StartTime), epoch_us(EndTime), DurationMs, Status,
    text(Destination, 200), text(Region, 100), nullif(left(Error, 300), ''), EventCount,
    text(Source, 200), ArrivalDurationMs
FROM read_parquet(getvariable('files'), union_by_name = true, hive_partitioning = false)
QUALIFY row_number() OVER (PARTITION BY _ResourceId, CorrelationId, CommitId ORDER BY Revision DESC) = 1;
INSERT OR IGNORE INTO closings
SELECT DISTINCT ClosingEvent
FROM read_parquet(getvariable('files'), union_by_name = true, hive_partitioning = false)
WHERE ClosingEvent IS NOT NULL;

-- name: records
CREATE OR REPLACE TEMP TABLE day AS
SELECT
    coalesce(_ResourceId, '') AS resource, CorrelationId AS id, epoch_us(TimeGenerated) AS moment,
    EventName AS event, Destination AS destination, Source AS partition, Region AS region, epoch_us(_EnqueuedTime) AS enqueued, committed
FROM read_parquet(getvariable('files'), union_by_name = true, hive_partitioning = false, filename = true)
LEFT JOIN commits USING (filename)
WHERE epoch_us(TimeGenerated) >= getvariable('since') AND epoch_us(TimeGenerated) < getvariable('until');
INSERT INTO seen
SELECT
    resource, id, min(moment), max(moment), arg_max(event, moment), text(arg_max(destination, moment), 200),
    text(arg_max(region, moment), 100), count(*), text(arg_max(partition, moment), 200)
FROM day GROUP BY resource, id;
INSERT INTO several
SELECT count(*), count_if(destinations > 1), count_if(partitions > 1)
FROM (
    SELECT count(DISTINCT destination) AS destinations, count(DISTINCT partition) AS partitions
    FROM day GROUP BY resource, id HAVING count(*) > 1
);
INSERT INTO delays
SELECT leg, moment // getvariable('step') - getvariable('first'), bin(ms), count(*), max(ms)
FROM (
    SELECT 'hub' AS leg, moment, greatest(enqueued - moment, 0) / 1000 AS ms FROM day
    UNION ALL
    SELECT 'exporter', moment, greatest(committed - enqueued, 0) / 1000 FROM day WHERE committed IS NOT NULL
)
GROUP BY ALL;
DROP TABLE day;

-- name: letters
INSERT INTO rejected
SELECT
    moment // getvariable('step') - getvariable('first'), count.key, sum(count.value),
    any_value(left(list_filter(rejections, lambda one: one.reason = count.key)[1].message, 300))
FROM (
    SELECT epoch_us(enqueued) AS moment, unnest(map_entries(counts)) AS count, rejections
    FROM read_json(
        getvariable('files'), format = 'newline_delimited', compression = 'gzip', hive_partitioning = false,
        columns = {
            enqueued: 'TIMESTAMP', counts: 'MAP(VARCHAR, BIGINT)',
            rejections: 'STRUCT(reason VARCHAR, message VARCHAR)[]'
        }
    )
)
WHERE moment >= getvariable('since') AND moment < getvariable('until')
GROUP BY ALL;
