-- name: sales_by_month
-- description: Orders, buyers and revenue per UTC calendar month, without gaps, with the change to the month before
-- param: from timestamp = null -- first instant (inclusive)
-- param: to timestamp = null -- last instant (exclusive)
-- param: statuses list? = completed,processing,shipped,delivered -- order statuses that count as sales; null counts all
-- input: transactions
-- output: sales_by_month
-- key: currency, month
-- docs: `month` is the first day of a month of a year, never a month number alone. Revenue is the sum
-- docs: of `total` of the orders with one of the statuses; each currency has its own rows.
-- docs: Months without a sale between the first and the last order (of any status or currency) have
-- docs: zeros. `is_partial` marks the first month when its first order came after its first day and
-- docs: the last month when its last order came before 23:00 UTC of its last day. If all orders are at
-- docs: midnight, the data has no time of day, and an order of the last day is enough.
-- docs: `revenue_change` = (revenue - revenue of the month before) / revenue of the month before; it
-- docs: is null where one of the two months is partial or the month before has no revenue.
-- docs: Guest orders count as orders and revenue, but not as buyers.
-- docs: Avoids: months of different years merged, cancelled orders in the sum, currencies added
-- docs: together, a part of a month compared with a whole one.

WITH orders AS (
    SELECT
        currency,
        CAST(date_trunc('month', ts) AS DATE) AS month,
        CAST(ts AS DATE) AS day,
        ts,
        user_id,
        total,
        $statuses IS NULL OR array_has($statuses, status) AS is_sale
    FROM transactions
    WHERE ($from IS NULL OR ts >= $from) AND ($to IS NULL OR ts < $to)
),
-- One row per buyer first: an exact distinct count without a set of users per month.
by_user AS (
    SELECT
        currency,
        month,
        user_id,
        count(CASE WHEN is_sale THEN 1 END) AS orders,
        sum(CASE WHEN is_sale THEN total END) AS revenue,
        min(day) AS first_day,
        max(day) AS last_day,
        max(ts) AS last_ts,
        max(CASE WHEN ts > day THEN 1 ELSE 0 END) AS timed
    FROM orders
    GROUP BY currency, month, user_id
),
by_month AS (
    SELECT
        currency,
        month,
        sum(orders) AS orders,
        count(CASE WHEN orders > 0 THEN user_id END) AS buyers,
        coalesce(sum(revenue), 0) AS revenue,
        min(first_day) AS first_day,
        max(last_day) AS last_day,
        max(last_ts) AS last_ts,
        max(timed) AS timed
    FROM by_user
    GROUP BY currency, month
),
bounds AS (
    SELECT
        currency,
        month,
        orders,
        buyers,
        revenue,
        min(first_day) OVER () AS first_day,
        max(last_day) OVER () AS last_day,
        max(last_ts) OVER () AS last_ts,
        max(timed) OVER () AS timed,
        min(month) OVER () AS first_month,
        max(month) OVER () AS last_month,
        lag(month) OVER (PARTITION BY currency ORDER BY month) AS previous_month,
        lead(month) OVER (PARTITION BY currency ORDER BY month) AS next_month
    FROM by_month
),
-- Each row also stands for the empty months up to the next row of its currency.
filled AS (
    SELECT
        currency,
        month AS sale_month,
        unnest(generate_series(
            CASE WHEN previous_month IS NULL THEN first_month ELSE month END,
            coalesce(next_month - INTERVAL '1 month', last_month),
            INTERVAL '1 month'
        )) AS month,
        orders,
        buyers,
        revenue,
        first_day,
        last_day,
        last_ts,
        timed,
        first_month,
        last_month
    FROM bounds
),
months AS (
    SELECT
        currency,
        month,
        CASE WHEN month = sale_month THEN orders ELSE 0 END AS orders,
        CASE WHEN month = sale_month THEN buyers ELSE 0 END AS buyers,
        coalesce(CASE WHEN month = sale_month THEN revenue END, 0) AS revenue,
        (month = first_month AND first_day > first_month)
            OR (
                month = last_month
                AND (
                    last_day + INTERVAL '1 day' < last_month + INTERVAL '1 month'
                    OR (date_part('hour', last_ts) < 23 AND timed > 0)
                )
            ) AS is_partial
    FROM filled
),
compared AS (
    SELECT
        currency,
        month,
        orders,
        buyers,
        revenue,
        is_partial,
        lag(revenue) OVER (PARTITION BY currency ORDER BY month) AS previous_revenue,
        lag(is_partial) OVER (PARTITION BY currency ORDER BY month) AS previous_is_partial
    FROM months
)
SELECT
    currency,
    month,
    orders,
    buyers,
    revenue,
    CASE WHEN orders > 0 THEN CAST(CAST(revenue AS DECIMAL(38, 8)) / orders AS DECIMAL(38, 6)) END AS avg_order_value,
    CASE
        WHEN previous_revenue > 0 AND NOT is_partial AND NOT previous_is_partial
        THEN CAST(revenue - previous_revenue AS DOUBLE) / CAST(previous_revenue AS DOUBLE)
    END AS revenue_change,
    is_partial
FROM compared
ORDER BY currency, month
