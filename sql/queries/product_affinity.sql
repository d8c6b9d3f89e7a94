-- name: product_affinity
-- description: Pairs of products bought together, with support, confidence and lift
-- param: from timestamp = null -- first instant (inclusive)
-- param: to timestamp = null -- last instant (exclusive)
-- param: statuses list? = completed,processing,shipped,delivered -- order statuses that count as sales; null counts all
-- param: min_support_count int(1..) = 2 -- orders that must hold both products
-- param: rank_by choice(orders|lift) = orders -- what decides the order of the pairs
-- param: top int(1..)? = 20 -- pairs to show; null shows all
-- input: transactions
-- input: transaction_items
-- input: products
-- output: product_affinity
-- key: product_a, product_b
-- docs: A basket is the set of distinct products of one order with a quantity of at least 1; an order
-- docs: with n products gives n (n - 1) / 2 pairs. Each pair appears once, with `product_a` < `product_b`.
-- docs: With N baskets and n(X) baskets that hold X: `support` = n(AB) / N, `confidence_a_to_b` =
-- docs: n(AB) / n(A), `confidence_b_to_a` = n(AB) / n(B), `lift` = N n(AB) / (n(A) n(B)), `leverage` =
-- docs: support - n(A) n(B) / N^2, `jaccard` = n(AB) / (n(A) + n(B) - n(AB)). Pairs of equal rank are
-- docs: ordered by their product ids.
-- docs: Avoids: pairs counted in both directions, only the first two items of an order, a product
-- docs: bought twice in an order paired with itself.

WITH baskets AS (
    SELECT DISTINCT i.transaction_id, i.product_id
    FROM transaction_items AS i
    INNER JOIN transactions AS t ON i.transaction_id = t.transaction_id
    WHERE i.quantity >= 1
        AND ($from IS NULL OR t.ts >= $from)
        AND ($to IS NULL OR t.ts < $to)
        AND ($statuses IS NULL OR array_has($statuses, t.status))
),
-- Includes the pair of a product with itself, whose count is the product's own n.
pairs AS (
    SELECT a.product_id AS a, b.product_id AS b, count(*) AS orders
    FROM baskets AS a
    INNER JOIN baskets AS b ON a.transaction_id = b.transaction_id AND a.product_id <= b.product_id
    GROUP BY a.product_id, b.product_id
    HAVING count(*) >= $min_support_count
),
counted AS (
    SELECT
        a,
        b,
        orders,
        max(CASE WHEN a = b THEN orders END) OVER (PARTITION BY a) AS orders_a,
        max(CASE WHEN a = b THEN orders END) OVER (PARTITION BY b) AS orders_b
    FROM pairs
),
total AS (
    SELECT count(*) AS baskets
    FROM (SELECT DISTINCT transaction_id FROM baskets) AS orders
),
measured AS (
    SELECT
        c.a,
        c.b,
        c.orders,
        c.orders_a,
        c.orders_b,
        t.baskets,
        CAST(c.orders AS DOUBLE) / CAST(t.baskets AS DOUBLE) AS support,
        CAST(c.orders AS DOUBLE) / CAST(c.orders_a AS DOUBLE) AS confidence_a_to_b,
        CAST(c.orders AS DOUBLE) / CAST(c.orders_b AS DOUBLE) AS confidence_b_to_a,
        CAST(c.orders AS DOUBLE) * CAST(t.baskets AS DOUBLE)
            / (CAST(c.orders_a AS DOUBLE) * CAST(c.orders_b AS DOUBLE)) AS lift
    FROM counted AS c
    CROSS JOIN total AS t
    WHERE c.a < c.b
),
best AS (
    SELECT *
    FROM measured
    ORDER BY CASE WHEN $rank_by = 'lift' THEN lift END DESC, orders DESC, a, b
    LIMIT $top
),
names AS (
    SELECT product_id, max(name) AS name
    FROM products
    GROUP BY product_id
)
SELECT
    p.a AS product_a,
    p.b AS product_b,
    name_a.name AS product_name_a,
    name_b.name AS product_name_b,
    p.orders,
    p.orders_a,
    p.orders_b,
    p.baskets,
    p.support,
    p.confidence_a_to_b,
    p.confidence_b_to_a,
    p.lift,
    p.support - CAST(p.orders_a AS DOUBLE) * CAST(p.orders_b AS DOUBLE)
        / (CAST(p.baskets AS DOUBLE) * CAST(p.baskets AS DOUBLE)) AS leverage,
    CAST(p.orders AS DOUBLE) / CAST(p.orders_a + p.orders_b - p.orders AS DOUBLE) AS jaccard
FROM best AS p
LEFT JOIN names AS name_a ON p.a = name_a.product_id
LEFT JOIN names AS name_b ON p.b = name_b.product_id
ORDER BY CASE WHEN $rank_by = 'lift' THEN p.lift END DESC, p.orders DESC, p.a, p.b
