-- name: delivery_time
-- description: Mean and percentiles of the delivery days per category, and the share delivered in time
-- param: from timestamp = null -- first order (inclusive)
-- param: to timestamp = null -- last order (exclusive)
-- param: statuses list? = delivered -- order statuses whose delivery counts (any case); null counts all
-- param: target_days int(0..) = 5 -- deliveries of at most this many days are in time
-- input: orders
-- output: delivery_time
-- key: category
-- docs: Percentiles are exact, by nearest rank: the smallest number of days within which at least that
-- docs: share of the orders arrived. Orders without a delivery time are left out.
-- docs: Avoids: orders that are not delivered, sampled percentiles.

WITH days AS (
    SELECT coalesce(category, 'unknown') AS category, delivery_time AS days, count(*) AS orders
    FROM orders
    WHERE delivery_time >= 0
        AND ($from IS NULL OR "timestamp" >= $from)
        AND ($to IS NULL OR "timestamp" < $to)
        AND ($statuses IS NULL OR array_has($statuses, lower(status)))
    GROUP BY coalesce(category, 'unknown'), delivery_time
),
ranks AS (
    SELECT
        category,
        days,
        orders,
        sum(orders) OVER (PARTITION BY category ORDER BY days) AS arrived,
        sum(orders) OVER (PARTITION BY category) AS total
    FROM days
)
SELECT
    category,
    sum(orders) AS orders,
    CAST(sum(days * orders) AS DOUBLE) / CAST(sum(orders) AS DOUBLE) AS avg_days,
    min(CASE WHEN arrived * 100 >= total * 50 THEN days END) AS p50_days,
    min(CASE WHEN arrived * 100 >= total * 90 THEN days END) AS p90_days,
    min(CASE WHEN arrived * 100 >= total * 95 THEN days END) AS p95_days,
    min(CASE WHEN arrived * 100 >= total * 99 THEN days END) AS p99_days,
    max(days) AS max_days,
    CAST(sum(CASE WHEN days <= $target_days THEN orders ELSE 0 END) AS DOUBLE)
        / CAST(sum(orders) AS DOUBLE) AS in_time_share
FROM ranks
GROUP BY category
ORDER BY category
