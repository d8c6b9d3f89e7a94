-- name: top_products
-- description: Best-selling products by quantity or revenue, ties included
-- param: from timestamp = null -- first instant (inclusive)
-- param: to timestamp = null -- last instant (exclusive)
-- param: statuses list? = completed,processing,shipped,delivered -- order statuses that count as sales; null counts all
-- param: by choice(quantity|revenue) = quantity -- what the rank is of
-- param: top int(1..)? = 10 -- ranks to show per currency; null shows all
-- input: transactions
-- input: transaction_items
-- input: products
-- output: top_products
-- key: currency, product_id
-- docs: Products with the same value share a rank and `is_tied` is true; all products of the last rank
-- docs: shown are there, so there can be more rows than `top`. Revenue is quantity x unit price of
-- docs: the sale, before the order's discount. Each currency has its own ranks.
-- docs: Avoids: a limit before the aggregation, today's price instead of the price at sale, an
-- docs: arbitrary cut among equals.

WITH lines AS (
    SELECT
        t.currency,
        i.transaction_id,
        i.product_id,
        sum(i.quantity) AS units,
        sum(i.quantity * i.unit_price) AS revenue
    FROM transaction_items AS i
    INNER JOIN transactions AS t ON i.transaction_id = t.transaction_id
    WHERE i.quantity <> 0
        AND ($from IS NULL OR t.ts >= $from)
        AND ($to IS NULL OR t.ts < $to)
        AND ($statuses IS NULL OR array_has($statuses, t.status))
    GROUP BY t.currency, i.transaction_id, i.product_id
),
sold AS (
    SELECT
        currency,
        product_id,
        sum(units) AS units,
        count(*) AS orders,
        sum(revenue) AS revenue
    FROM lines
    GROUP BY currency, product_id
),
ranked AS (
    SELECT
        currency,
        product_id,
        units,
        orders,
        revenue,
        rank() OVER (
            PARTITION BY currency
            ORDER BY
                CASE WHEN $by = 'quantity' THEN units END DESC,
                CASE WHEN $by = 'revenue' THEN revenue END DESC
        ) AS rank
    FROM sold
),
top AS (
    SELECT
        currency,
        product_id,
        units,
        orders,
        revenue,
        CAST(rank AS BIGINT) AS rank,
        count(*) OVER (PARTITION BY currency, rank) > 1 AS is_tied
    FROM ranked
    WHERE $top IS NULL OR CAST(rank AS BIGINT) <= $top
),
names AS (
    SELECT product_id, max(name) AS name
    FROM products
    GROUP BY product_id
)
SELECT
    t.currency,
    t.rank,
    t.product_id,
    n.name AS product_name,
    t.units,
    t.orders,
    t.revenue,
    t.is_tied
FROM top AS t
LEFT JOIN names AS n ON t.product_id = n.product_id
ORDER BY t.currency, t.rank, t.product_id
