-- name: sales_by_age
-- description: Sales per age bucket of the customer
-- param: from date = null -- first order day (inclusive)
-- param: to date = null -- last order day (exclusive)
-- param: bucket_years int(1..) = 5 -- width of a bucket in years
-- input: shop_orders
-- input: shop_customers
-- output: sales_by_age
-- key: age_bucket
-- docs: Buckets are named by their first and last year, e.g. `20-24`. An age below 18, above 110 or missing
-- docs: is the bucket `unknown`, never an age of zero.
-- docs: The numbers are sales, not a head count: `revenue` is the sum of the order amounts. An amount that
-- docs: is missing or not positive is no revenue; such orders are counted in `orders_without_amount`.
-- docs: `customers` are the customers with an order. Repeated order or customer rows count once.
-- docs: Orders of unknown customers are in the bucket `unknown`.
-- docs: Avoids: impossible ages shown as 0-4, customers multiplied by their orders, heads shown as sales.

WITH sales AS (
    SELECT
        order_id,
        max(customer_id) AS customer_id,
        max(CASE WHEN total_amount > 0 THEN total_amount END) AS amount
    FROM shop_orders
    WHERE order_id IS NOT NULL
        AND ($from IS NULL OR transaction_date >= $from)
        AND ($to IS NULL OR transaction_date < $to)
    GROUP BY order_id
),
by_customer AS (
    SELECT
        customer_id,
        count(*) AS orders,
        count(*) - count(amount) AS orders_without_amount,
        coalesce(sum(amount), 0) AS revenue
    FROM sales
    GROUP BY customer_id
),
customers AS (
    SELECT customer_id, max(CASE WHEN age BETWEEN 18 AND 110 THEN age END) AS age
    FROM shop_customers
    WHERE customer_id IS NOT NULL
    GROUP BY customer_id
),
buckets AS (
    SELECT
        c.age / $bucket_years * $bucket_years AS age_from,
        s.customer_id,
        s.orders,
        s.orders_without_amount,
        s.revenue
    FROM by_customer AS s
    LEFT JOIN customers AS c ON s.customer_id = c.customer_id
),
totals AS (
    SELECT
        age_from,
        count(customer_id) AS customers,
        sum(orders) AS orders,
        sum(orders_without_amount) AS orders_without_amount,
        sum(revenue) AS revenue
    FROM buckets
    GROUP BY age_from
)
SELECT
    coalesce(CAST(age_from AS VARCHAR) || '-' || CAST(age_from + $bucket_years - 1 AS VARCHAR), 'unknown') AS age_bucket,
    age_from,
    customers,
    orders,
    orders_without_amount,
    revenue,
    CAST(revenue AS DOUBLE) / nullif(CAST(sum(revenue) OVER () AS DOUBLE), 0) AS revenue_share,
    CAST(CAST(revenue AS DECIMAL(38, 8)) / nullif(orders - orders_without_amount, 0) AS DECIMAL(38, 6)) AS avg_order_value
FROM totals
ORDER BY age_from NULLS LAST
