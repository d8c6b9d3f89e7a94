-- name: prime_vs_non_prime
-- description: Orders, customers, units and revenue of Prime and non-Prime orders per currency
-- param: from timestamp = null -- first order (inclusive)
-- param: to timestamp = null -- last order (exclusive)
-- param: statuses list? = shipped,delivered,pending -- order statuses that count as sales (any case); null counts all
-- param: discount_as choice(percent|amount|none) = percent -- what the column `discount` means; its source does not say
-- input: orders
-- output: prime_vs_non_prime
-- key: currency, membership
-- docs: `membership` is `prime`, `non_prime` or, where the flag is missing, `unknown`. `gross_revenue` is
-- docs: the sum of price x quantity; `net_revenue` subtracts the discount, exactly and unrounded.
-- docs: Currencies are never added together.
-- docs: Avoids: every text read as true, quantity and discount left out, cancelled orders in the sum,
-- docs: four currencies added together.

WITH sales AS (
    SELECT
        coalesce(currency, 'unknown') AS currency,
        CASE WHEN is_prime THEN 'prime' WHEN NOT is_prime THEN 'non_prime' ELSE 'unknown' END AS membership,
        customer_id,
        quantity,
        price * quantity AS gross,
        CASE
            WHEN $discount_as = 'percent' THEN price * quantity * coalesce(discount, 0) / 100
            WHEN $discount_as = 'amount' THEN coalesce(discount, 0)
            ELSE 0
        END AS discount
    FROM orders
    WHERE ($from IS NULL OR "timestamp" >= $from)
        AND ($to IS NULL OR "timestamp" < $to)
        AND ($statuses IS NULL OR array_has($statuses, lower(status)))
),
by_customer AS (
    SELECT
        currency,
        membership,
        customer_id,
        count(*) AS orders,
        sum(quantity) AS units,
        sum(gross) AS gross_revenue,
        sum(discount) AS discount
    FROM sales
    GROUP BY currency, membership, customer_id
),
totals AS (
    SELECT
        currency,
        membership,
        count(customer_id) AS customers,
        sum(orders) AS orders,
        sum(units) AS units,
        sum(gross_revenue) AS gross_revenue,
        sum(discount) AS discount
    FROM by_customer
    GROUP BY currency, membership
)
SELECT
    currency,
    membership,
    orders,
    CAST(orders AS DOUBLE) / CAST(sum(orders) OVER (PARTITION BY currency) AS DOUBLE) AS order_share,
    customers,
    units,
    gross_revenue,
    gross_revenue - discount AS net_revenue
FROM totals
ORDER BY currency, membership
