-- name: spending_by_registration_year
-- description: Orders, revenue and mean order value of the customers registered in each year
-- param: from timestamp = null -- first order instant (inclusive)
-- param: to timestamp = null -- last order instant (exclusive)
-- param: statuses list? = completed,processing,shipped,delivered -- order statuses that count as sales; null counts all
-- input: users
-- input: transactions
-- output: spending_by_registration_year
-- key: registration_year, currency
-- docs: `customers` are all customers registered in the year, `buyers` those with an order with one of
-- docs: the statuses. `avg_order_value` is revenue / orders, `revenue_per_customer` is revenue /
-- docs: customers, buyers or not. A year in which nobody bought has one row with currency `none`.
-- docs: Guest orders and orders of users who are not in the user table belong to no year.
-- docs: Avoids: registered customers who never bought dropped by an inner join, currencies added.

WITH registered AS (
    SELECT user_id, CAST(date_part('year', min(registration_ts)) AS INT) AS registration_year
    FROM users
    GROUP BY user_id
),
years AS (
    SELECT registration_year, count(*) AS customers
    FROM registered
    GROUP BY registration_year
),
by_user AS (
    SELECT user_id, currency, count(*) AS orders, sum(total) AS revenue
    FROM transactions
    WHERE user_id IS NOT NULL
        AND ($from IS NULL OR ts >= $from)
        AND ($to IS NULL OR ts < $to)
        AND ($statuses IS NULL OR array_has($statuses, status))
    GROUP BY user_id, currency
),
spending AS (
    SELECT
        r.registration_year,
        s.currency,
        count(*) AS buyers,
        sum(s.orders) AS orders,
        sum(s.revenue) AS revenue
    FROM by_user AS s
    INNER JOIN registered AS r ON s.user_id = r.user_id
    GROUP BY r.registration_year, s.currency
)
SELECT
    y.registration_year,
    coalesce(s.currency, 'none') AS currency,
    y.customers,
    coalesce(s.buyers, 0) AS buyers,
    coalesce(s.orders, 0) AS orders,
    coalesce(s.revenue, 0) AS revenue,
    CAST(CAST(s.revenue AS DECIMAL(38, 8)) / s.orders AS DECIMAL(38, 6)) AS avg_order_value,
    CAST(CAST(coalesce(s.revenue, 0) AS DECIMAL(38, 8)) / y.customers AS DECIMAL(38, 6)) AS revenue_per_customer
FROM years AS y
LEFT JOIN spending AS s ON y.registration_year = s.registration_year
ORDER BY y.registration_year, currency
