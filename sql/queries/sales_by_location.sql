-- name: sales_by_location
-- description: Sales per location of the customer
-- param: from date = null -- first order day (inclusive)
-- param: to date = null -- last order day (exclusive)
-- input: shop_orders
-- input: shop_customers
-- output: sales_by_location
-- key: location
-- docs: A missing or empty location is the bucket `unknown`.
-- docs: The numbers are sales, not a head count: `revenue` is the sum of the order amounts. An amount that
-- docs: is missing or not positive is no revenue; such orders are counted in `orders_without_amount`.
-- docs: `customers` are the customers with an order. Repeated order or customer rows count once.
-- docs: Orders of unknown customers are in the bucket `unknown`.
-- docs: Avoids: customers counted where sales are meant, dropped customers without a location.

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
    SELECT customer_id, max(nullif(trim(location), '')) AS location
    FROM shop_customers
    WHERE customer_id IS NOT NULL
    GROUP BY customer_id
),
totals AS (
    SELECT
        coalesce(c.location, 'unknown') AS location,
        count(s.customer_id) AS customers,
        sum(s.orders) AS orders,
        sum(s.orders_without_amount) AS orders_without_amount,
        sum(s.revenue) AS revenue
    FROM by_customer AS s
    LEFT JOIN customers AS c ON s.customer_id = c.customer_id
    GROUP BY coalesce(c.location, 'unknown')
)
SELECT
    location,
    customers,
    orders,
    orders_without_amount,
    revenue,
    CAST(revenue AS DOUBLE) / nullif(CAST(sum(revenue) OVER () AS DOUBLE), 0) AS revenue_share,
    CAST(CAST(revenue AS DECIMAL(38, 8)) / nullif(orders - orders_without_amount, 0) AS DECIMAL(38, 6)) AS avg_order_value
FROM totals
ORDER BY revenue DESC, location
