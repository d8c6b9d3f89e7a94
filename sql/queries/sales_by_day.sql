-- name: sales_by_day
-- description: Orders, buyers and revenue per UTC day, without gaps, with the trailing 7-day mean
-- param: from timestamp = null -- first instant (inclusive)
-- param: to timestamp = null -- last instant (exclusive)
-- param: statuses list? = completed,processing,shipped,delivered -- order statuses that count as sales; null counts all
-- input: transactions
-- output: sales_by_day
-- key: currency, day
-- docs: Revenue is the sum of `total` of the orders with one of the statuses. Currencies are never
-- docs: added together: each has its own rows.
-- docs: Days without a sale between the first and the last order (of any status or currency) have
-- docs: zeros, so `revenue_ma7`, the mean of the day and the six days before it, is a mean of seven
-- docs: calendar days; it is null for the first six days.
-- docs: `is_partial` marks the first day when its first order came after 01:00 and the last day when
-- docs: its last order came before 23:00 UTC: the data may not cover the whole day. If all orders are
-- docs: at midnight, the data has no time of day, and no day is partial.
-- docs: Guest orders count as orders and revenue, but not as buyers.
-- docs: Avoids: cancelled orders in the sum, gaps in the line, currencies added together.

WITH orders AS (
    SELECT
        currency,
        CAST(ts AS DATE) AS day,
        ts,
        user_id,
        total,
        $statuses IS NULL OR array_has($statuses, status) AS is_sale
    FROM transactions
    WHERE ($from IS NULL OR ts >= $from) AND ($to IS NULL OR ts < $to)
),
-- One row per buyer first: an exact distinct count without a set of users per day.
by_user AS (
    SELECT
        currency,
        day,
        user_id,
        count(CASE WHEN is_sale THEN 1 END) AS orders,
        sum(CASE WHEN is_sale THEN total END) AS revenue,
        min(ts) AS first_ts,
        max(ts) AS last_ts,
        max(CASE WHEN ts > day THEN 1 ELSE 0 END) AS timed
    FROM orders
    GROUP BY currency, day, user_id
),
by_day AS (
    SELECT
        currency,
        day,
        sum(orders) AS orders,
        count(CASE WHEN orders > 0 THEN user_id END) AS buyers,
        coalesce(sum(revenue), 0) AS revenue,
        min(first_ts) AS first_ts,
        max(last_ts) AS last_ts,
        max(timed) AS timed
    FROM by_user
    GROUP BY currency, day
),
bounds AS (
    SELECT
        currency,
        day,
        orders,
        buyers,
        revenue,
        min(first_ts) OVER () AS first_ts,
        max(last_ts) OVER () AS last_ts,
        max(timed) OVER () AS timed,
        min(day) OVER () AS first_day,
        max(day) OVER () AS last_day,
        lag(day) OVER (PARTITION BY currency ORDER BY day) AS previous_day,
        lead(day) OVER (PARTITION BY currency ORDER BY day) AS next_day
    FROM by_day
),
-- Each row also stands for the empty days up to the next row of its currency.
filled AS (
    SELECT
        currency,
        day AS sale_day,
        unnest(generate_series(
            CASE WHEN previous_day IS NULL THEN first_day ELSE day END,
            coalesce(next_day - INTERVAL '1 day', last_day),
            INTERVAL '1 day'
        )) AS day,
        orders,
        buyers,
        revenue,
        first_ts,
        last_ts,
        timed,
        first_day,
        last_day
    FROM bounds
),
days AS (
    SELECT
        currency,
        day,
        CASE WHEN day = sale_day THEN orders ELSE 0 END AS orders,
        CASE WHEN day = sale_day THEN buyers ELSE 0 END AS buyers,
        coalesce(CASE WHEN day = sale_day THEN revenue END, 0) AS revenue,
        (day = first_day AND date_part('hour', first_ts) > 0)
            OR (day = last_day AND date_part('hour', last_ts) < 23 AND timed > 0) AS is_partial
    FROM filled
)
SELECT
    currency,
    day,
    orders,
    buyers,
    revenue,
    CASE
        WHEN count(*) OVER (PARTITION BY currency ORDER BY day ROWS BETWEEN 6 PRECEDING AND CURRENT ROW) = 7
        THEN CAST(
            CAST(sum(revenue) OVER (PARTITION BY currency ORDER BY day ROWS BETWEEN 6 PRECEDING AND CURRENT ROW) AS DECIMAL(38, 8))
            / 7 AS DECIMAL(38, 6)
        )
    END AS revenue_ma7,
    is_partial
FROM days
ORDER BY currency, day
