-- name: revenue_by_country
-- description: Orders, buyers and revenue per country of the customer
-- param: from timestamp = null -- first instant (inclusive)
-- param: to timestamp = null -- last instant (exclusive)
-- param: statuses list? = completed,processing,shipped,delivered -- order statuses that count as sales; null counts all
-- input: transactions
-- input: users
-- output: revenue_by_country
-- key: currency, country
-- docs: Revenue is the sum of `total` of the orders with one of the statuses. The country is that of the
-- docs: customer; guest orders, orders of unknown customers and customers without a country are in
-- docs: the bucket `unknown`. Each currency has its own rows, and `revenue_share` is of its revenue.
-- docs: `avg_order_value` is revenue / orders, rounded to six decimals. A user id that occurs several
-- docs: times in `users` counts once, with the alphabetically last country.
-- docs: Avoids: currencies added together, orders without a customer dropped by an inner join.

WITH sales AS (
    SELECT currency, user_id, count(*) AS orders, sum(total) AS revenue
    FROM transactions
    WHERE ($from IS NULL OR ts >= $from)
        AND ($to IS NULL OR ts < $to)
        AND ($statuses IS NULL OR array_has($statuses, status))
    GROUP BY currency, user_id
),
countries AS (
    SELECT user_id, max(nullif(trim(country), '')) AS country
    FROM users
    WHERE user_id IS NOT NULL
    GROUP BY user_id
),
totals AS (
    SELECT
        s.currency,
        coalesce(c.country, 'unknown') AS country,
        count(s.user_id) AS buyers,
        sum(s.orders) AS orders,
        sum(s.revenue) AS revenue
    FROM sales AS s
    LEFT JOIN countries AS c ON s.user_id = c.user_id
    GROUP BY s.currency, coalesce(c.country, 'unknown')
)
SELECT
    currency,
    country,
    buyers,
    orders,
    revenue,
    CAST(revenue AS DOUBLE)
        / nullif(CAST(sum(revenue) OVER (PARTITION BY currency) AS DOUBLE), 0) AS revenue_share,
    CAST(CAST(revenue AS DECIMAL(38, 8)) / orders AS DECIMAL(38, 6)) AS avg_order_value
FROM totals
ORDER BY currency, revenue DESC, country
