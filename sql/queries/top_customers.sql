-- name: top_customers
-- description: Customers with the highest revenue or most orders, ties included
-- param: from timestamp = null -- first instant (inclusive)
-- param: to timestamp = null -- last instant (exclusive)
-- param: statuses list? = completed,processing,shipped,delivered -- order statuses that count as sales; null counts all
-- param: by choice(revenue|orders) = revenue -- what the rank is of
-- param: top int(1..)? = 10 -- ranks to show per currency; null shows all
-- input: transactions
-- output: top_customers
-- key: currency, user_id
-- docs: Customers with the same value share a rank and `is_tied` is true; all customers of the last
-- docs: rank shown are there. Guest orders have no customer and no rank, but are part of the whole of
-- docs: which `revenue_share` is a share. Each currency has its own ranks.
-- docs: Avoids: cancelled orders in the sum, currencies added together, one giant "null" customer.

WITH spent AS (
    SELECT
        currency,
        user_id,
        count(*) AS orders,
        sum(total) AS revenue,
        min(ts) AS first_order_ts,
        max(ts) AS last_order_ts
    FROM transactions
    WHERE ($from IS NULL OR ts >= $from)
        AND ($to IS NULL OR ts < $to)
        AND ($statuses IS NULL OR array_has($statuses, status))
    GROUP BY currency, user_id
),
shares AS (
    SELECT
        currency,
        user_id,
        orders,
        revenue,
        first_order_ts,
        last_order_ts,
        sum(revenue) OVER (PARTITION BY currency) AS all_revenue
    FROM spent
),
ranked AS (
    SELECT
        currency,
        user_id,
        orders,
        revenue,
        first_order_ts,
        last_order_ts,
        all_revenue,
        rank() OVER (
            PARTITION BY currency
            ORDER BY
                CASE WHEN $by = 'revenue' THEN revenue END DESC,
                CASE WHEN $by = 'orders' THEN orders END DESC
        ) AS rank
    FROM shares
    WHERE user_id IS NOT NULL
)
SELECT
    currency,
    CAST(rank AS BIGINT) AS rank,
    user_id,
    orders,
    revenue,
    CASE WHEN all_revenue > 0 THEN CAST(revenue AS DOUBLE) / CAST(all_revenue AS DOUBLE) END AS revenue_share,
    CAST(CAST(revenue AS DECIMAL(38, 8)) / orders AS DECIMAL(38, 6)) AS avg_order_value,
    first_order_ts,
    last_order_ts,
    count(*) OVER (PARTITION BY currency, rank) > 1 AS is_tied
FROM ranked
WHERE $top IS NULL OR CAST(rank AS BIGINT) <= $top
ORDER BY currency, rank, user_id
