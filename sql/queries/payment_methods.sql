-- name: payment_methods
-- description: Orders, revenue and mean order value per payment method
-- param: from timestamp = null -- first instant (inclusive)
-- param: to timestamp = null -- last instant (exclusive)
-- param: statuses list? = completed,processing,shipped,delivered -- order statuses that count as sales; null counts all
-- input: transactions
-- output: payment_methods
-- key: currency, payment_method
-- docs: Methods are compared without regard to case and surrounding blanks; a missing one is the bucket
-- docs: `unknown`. Shares are shares within the currency.
-- docs: Avoids: a missing method counted as cash, cancelled orders in the sum, currencies added.

WITH methods AS (
    SELECT
        currency,
        coalesce(nullif(lower(trim(payment_method)), ''), 'unknown') AS payment_method,
        total
    FROM transactions
    WHERE ($from IS NULL OR ts >= $from)
        AND ($to IS NULL OR ts < $to)
        AND ($statuses IS NULL OR array_has($statuses, status))
),
totals AS (
    SELECT currency, payment_method, count(*) AS orders, sum(total) AS revenue
    FROM methods
    GROUP BY currency, payment_method
)
SELECT
    currency,
    payment_method,
    orders,
    CAST(orders AS DOUBLE) / CAST(sum(orders) OVER (PARTITION BY currency) AS DOUBLE) AS order_share,
    revenue,
    CAST(revenue AS DOUBLE)
        / nullif(CAST(sum(revenue) OVER (PARTITION BY currency) AS DOUBLE), 0) AS revenue_share,
    CAST(CAST(revenue AS DECIMAL(38, 8)) / orders AS DECIMAL(38, 6)) AS avg_order_value
FROM totals
ORDER BY currency, revenue DESC, payment_method
