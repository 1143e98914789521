-- Small sums of what was loaded; each query has the name under which the page finds its rows.
-- Further variables: point_first and point_step (of the curve of open connections), labels, longest.

-- name: estimated
-- Whether most connections that ended have no duration: then their estimates are shown, and the page says so.
SELECT 2 * count_if(ms IS NULL) > count(*) FROM connections
WHERE ended >= getvariable('since') AND ended < getvariable('until');

-- name: known
-- All that was open in the range at some time. What has records and no row yet ends with a closing event only, and
-- which events close, rows tell.
CREATE TABLE known AS
SELECT * REPLACE (if(getvariable('estimated'), estimate, ms) AS ms) FROM connections
WHERE began < getvariable('until') AND ended >= getvariable('since')
UNION ALL
SELECT
    resource, id, min(began), if(arg_max(event, latest) IN (FROM closings), max(latest), NULL), NULL, 'unfinished',
    arg_max(destination, latest), arg_max(region, latest), NULL, sum(events), arg_max(partition, latest), NULL
FROM seen ANTI JOIN connections USING (resource, id)
GROUP BY resource, id;

-- name: dimensions
-- Columns that connections can be grouped by: how many values each has, and whether it tells the leg of an event
-- (from client to gateway, from gateway to backend) instead: most connections have several values of it, or Source
-- and Destination have few values and share some.
WITH vocabularies AS (
    SELECT list(DISTINCT partition) AS partitions, list(DISTINCT destination) AS destinations FROM known
), overlap AS (
    SELECT greatest(len(partitions), len(destinations)) <= 4
        AND len(list_filter(list_intersect(partitions, destinations), lambda one: one <> '(none)')) > 0 AS legs
    FROM vocabularies
), varying AS (
    SELECT
        2 * sum(destination) > sum(connections) AS destination, 2 * sum(partition) > sum(connections) AS partition
    FROM several
)
SELECT 'Destination', (SELECT count(DISTINCT destination) FROM known), coalesce(v.destination, false) OR legs
FROM varying v, overlap
UNION ALL SELECT 'Region', (SELECT count(DISTINCT region) FROM known), false
UNION ALL SELECT 'Source', (SELECT count(DISTINCT partition) FROM known), coalesce(v.partition, false) OR legs
FROM varying v, overlap
UNION ALL SELECT 'Instance', (SELECT count(DISTINCT resource) FROM known), false;

-- name: prepare
CREATE MACRO dimension(name, destination, region, partition, resource) AS CASE name
    WHEN 'Destination' THEN destination WHEN 'Region' THEN region WHEN 'Source' THEN partition
    ELSE coalesce(nullif(regexp_extract(resource, '[^/]*$'), ''), '(none)') END;
CREATE TABLE labeled AS
SELECT
    * REPLACE (
        dimension(getvariable('dimension1'), destination, region, partition, resource) AS destination,
        dimension(getvariable('dimension2'), destination, region, partition, resource) AS region
    )
FROM known;
DROP TABLE known;
ALTER TABLE labeled RENAME TO known;
CREATE TABLE ranks AS
SELECT 'destination' AS kind, destination AS label, row_number() OVER (ORDER BY count(*) DESC, destination) AS rank
FROM known GROUP BY destination
UNION ALL
SELECT 'region', region, row_number() OVER (ORDER BY count(*) DESC, region) FROM known GROUP BY region;
-- A group has one destination, region (or whichever columns stand for them) and status: filters choose among groups. Seldom ones are one, '(other)'.
CREATE TABLE grouped AS
SELECT
    if(d.rank <= getvariable('labels'), known.destination, '(other)') AS main_destination,
    if(r.rank <= getvariable('labels'), known.region, '(other)') AS main_region,
    dense_rank() OVER (ORDER BY main_destination, main_region, status) - 1 AS g,
    known.*,
    status <> 'unfinished' AND ended >= getvariable('since') AND ended < getvariable('until') AS finished
FROM known
JOIN ranks d ON d.kind = 'destination' AND d.label = known.destination
JOIN ranks r ON r.kind = 'region' AND r.label = known.region;
-- What opens and closes: when, in which interval of the curve, how many.
CREATE TABLE changes AS
SELECT g, moment, moment // getvariable('point_step') - getvariable('point_first') AS point, change
FROM (
    SELECT g, greatest(began, getvariable('since')) AS moment, 1 AS change FROM grouped
    UNION ALL
    SELECT g, ended, -1 FROM grouped WHERE ended < getvariable('until')
);

-- name: groups
SELECT DISTINCT g, main_destination, main_region, status FROM grouped ORDER BY g;

-- name: ended
SELECT g, ended // getvariable('step') - getvariable('first') AS bar, count(*)::BIGINT
FROM grouped WHERE finished GROUP BY ALL ORDER BY ALL;

-- name: started
SELECT g, began // getvariable('step') - getvariable('first') AS bar, count(*)::BIGINT
FROM grouped WHERE began >= getvariable('since') GROUP BY ALL ORDER BY ALL;

-- name: open
-- By interval: the change, and how much of it the interval's own mean has (an opening at half time: a half).
SELECT g, point, sum(change)::BIGINT, round(sum(change * (stop - moment) / (stop - start)), 3)::DOUBLE
FROM (
    SELECT
        *,
        greatest((point + getvariable('point_first')) * getvariable('point_step'), getvariable('since')) AS start,
        least((point + 1 + getvariable('point_first')) * getvariable('point_step'), getvariable('until')) AS stop
    FROM changes
)
GROUP BY ALL ORDER BY ALL;

-- name: peaks
SELECT point, max(open)::BIGINT
FROM (SELECT point, sum(change) OVER (ORDER BY moment, change ROWS UNBOUNDED PRECEDING) AS open FROM changes)
GROUP BY ALL ORDER BY ALL;

-- name: durations
SELECT g, bin(ms), count(*)::BIGINT FROM grouped WHERE finished AND ms IS NOT NULL GROUP BY ALL ORDER BY ALL;

-- name: longest
SELECT g, id, resource, began, ended, ms, destination, region, status, events, error
FROM grouped
WHERE rowid IN (
    SELECT unnest(max_by(rowid, ms, getvariable('longest'))) FROM grouped WHERE finished AND ms IS NOT NULL GROUP BY g
)
ORDER BY ms DESC, id;

-- name: errors
SELECT g, error, count(*)::BIGINT FROM grouped
WHERE finished AND error IN (
    SELECT error FROM grouped WHERE finished AND error IS NOT NULL
    GROUP BY error ORDER BY count(*) DESC, error LIMIT getvariable('labels')
)
GROUP BY ALL ORDER BY ALL;

-- name: with_error
SELECT g, count(*)::BIGINT FROM grouped WHERE finished AND error IS NOT NULL GROUP BY ALL ORDER BY ALL;

-- name: delays
SELECT leg, bar, bin, sum(n)::BIGINT FROM delays GROUP BY ALL ORDER BY ALL;

-- name: longest_delays
SELECT leg, max(most) FROM delays GROUP BY ALL ORDER BY ALL;

-- name: rejections
SELECT bar, reason, sum(n)::BIGINT FROM rejected GROUP BY ALL ORDER BY ALL;

-- name: reasons
SELECT reason, sum(n)::BIGINT, min(example) FROM rejected GROUP BY ALL ORDER BY 2 DESC, 1;

-- name: records
SELECT coalesce(sum(n), 0)::BIGINT FROM delays WHERE leg = 'hub';
