-- name: revenue_by_product
-- description: Units, orders and revenue per product at the price of the sale, with product names
-- param: from timestamp = null -- first instant (inclusive)
-- param: to timestamp = null -- last instant (exclusive)
-- param: statuses list? = completed,processing,shipped,delivered -- order statuses that count as sales; null counts all
-- input: transactions
-- input: transaction_items
-- input: products
-- output: revenue_by_product
-- key: currency, product_id
-- docs: `revenue` is the sum of quantity x unit price of the sold lines, before the order's discount;
-- docs: all lines are summed, lines of quantity 0 sell nothing. `avg_price`, `min_price` and
-- docs: `max_price` are prices at which the product was sold, not today's base price. A product that
-- docs: has left the product table keeps its row, with a null name. Each currency has its own rows.
-- docs: Avoids: partial sums (a limit before the aggregation), today's price instead of the price at
-- docs: sale, orders counted once per line.

WITH lines AS (
    SELECT
        t.currency,
        i.transaction_id,
        i.product_id,
        sum(i.quantity) AS units,
        sum(i.quantity * i.unit_price) AS revenue,
        min(i.unit_price) AS min_price,
        max(i.unit_price) AS max_price
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
        sum(revenue) AS revenue,
        min(min_price) AS min_price,
        max(max_price) AS max_price
    FROM lines
    GROUP BY currency, product_id
),
names AS (
    SELECT product_id, max(name) AS name
    FROM products
    GROUP BY product_id
)
SELECT
    s.currency,
    s.product_id,
    n.name AS product_name,
    s.units,
    s.orders,
    s.revenue,
    CASE WHEN s.units > 0 THEN CAST(CAST(s.revenue AS DECIMAL(38, 8)) / s.units AS DECIMAL(38, 6)) END AS avg_price,
    s.min_price,
    s.max_price
FROM sold AS s
LEFT JOIN names AS n ON s.product_id = n.product_id
ORDER BY s.currency, s.revenue DESC, s.product_id
