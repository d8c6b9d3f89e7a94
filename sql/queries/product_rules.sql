-- name: product_rules
-- description: Rules "who buys these also buys that" over two, three or four products
-- param: from timestamp = null -- first instant (inclusive)
-- param: to timestamp = null -- last instant (exclusive)
-- param: statuses list? = completed,processing,shipped,delivered -- order statuses that count as sales; null counts all
-- param: min_support_count int(1..) = 2 -- orders that must hold all products of a rule
-- param: min_confidence float(0..1) = 0.1 -- smallest confidence of a rule
-- param: max_items choice(2|3|4) = 3 -- most products of a rule, both sides together
-- param: rank_by choice(lift|confidence|orders) = lift -- what decides the order of the rules
-- param: top int(1..)? = 20 -- rules to show; null shows all
-- input: transactions
-- input: transaction_items
-- output: product_rules
-- key: antecedent, consequent
-- docs: A basket is the set of distinct products of one order with a quantity of at least 1. A set of
-- docs: products is frequent if `min_support_count` baskets hold all of them; each frequent set of k
-- docs: products gives k rules, one for each of its products as the consequent and the others, in
-- docs: the order of their ids, as the antecedent (`antecedent` joins `item_1` to `item_3` with ` + `).
-- docs: With N baskets and n(X) baskets that hold X, for A => c: `support` = n(Ac) / N, `confidence` =
-- docs: n(Ac) / n(A), `lift` = N n(Ac) / (n(A) n(c)), `leverage` = support - n(A) n(c) / N^2,
-- docs: `conviction` = (1 - n(c) / N) / (1 - confidence), which is null for a confidence of 1, where it
-- docs: is infinite. Source: Agrawal and Srikant 1994; Brin et al. 1997 for conviction.
-- docs: Avoids: rules of pairs only, a product bought twice in an order counted twice.

WITH baskets AS (
    SELECT DISTINCT i.transaction_id, i.product_id
    FROM transaction_items AS i
    INNER JOIN transactions AS t ON i.transaction_id = t.transaction_id
    WHERE i.quantity >= 1
        AND ($from IS NULL OR t.ts >= $from)
        AND ($to IS NULL OR t.ts < $to)
        AND ($statuses IS NULL OR array_has($statuses, t.status))
),
total AS (
    SELECT count(*) AS baskets
    FROM (SELECT DISTINCT transaction_id FROM baskets) AS orders
),
one AS (
    SELECT product_id AS a, count(*) AS orders
    FROM baskets
    GROUP BY product_id
    HAVING count(*) >= $min_support_count
),
-- Only products that are frequent can be part of a frequent set.
items AS (
    SELECT b.transaction_id, b.product_id
    FROM baskets AS b
    INNER JOIN one ON b.product_id = one.a
),
two AS (
    SELECT x.product_id AS a, y.product_id AS b, count(*) AS orders
    FROM items AS x
    INNER JOIN items AS y ON x.transaction_id = y.transaction_id AND x.product_id < y.product_id
    GROUP BY x.product_id, y.product_id
    HAVING count(*) >= $min_support_count
),
-- The baskets of the frequent pairs, which the sets of three grow from.
in_two AS (
    SELECT x.transaction_id, two.a, two.b
    FROM two
    INNER JOIN items AS x ON x.product_id = two.a
    INNER JOIN items AS y ON y.product_id = two.b AND x.transaction_id = y.transaction_id
    WHERE $max_items <> '2'
),
three AS (
    SELECT p.a, p.b, z.product_id AS c, count(*) AS orders
    FROM in_two AS p
    INNER JOIN items AS z ON p.transaction_id = z.transaction_id AND p.b < z.product_id
    GROUP BY p.a, p.b, z.product_id
    HAVING count(*) >= $min_support_count
),
in_three AS (
    SELECT p.transaction_id, three.a, three.b, three.c
    FROM three
    INNER JOIN in_two AS p ON p.a = three.a AND p.b = three.b
    INNER JOIN items AS z ON z.product_id = three.c AND p.transaction_id = z.transaction_id
    WHERE $max_items = '4'
),
four AS (
    SELECT p.a, p.b, p.c, z.product_id AS d, count(*) AS orders
    FROM in_three AS p
    INNER JOIN items AS z ON p.transaction_id = z.transaction_id AND p.c < z.product_id
    GROUP BY p.a, p.b, p.c, z.product_id
    HAVING count(*) >= $min_support_count
),
rules AS (
    SELECT
        a AS item_1,
        CAST(NULL AS VARCHAR) AS item_2,
        CAST(NULL AS VARCHAR) AS item_3,
        b AS consequent,
        orders
    FROM two
    UNION ALL
    SELECT b AS item_1, NULL AS item_2, NULL AS item_3, a AS consequent, orders FROM two
    UNION ALL
    SELECT a AS item_1, b AS item_2, NULL AS item_3, c AS consequent, orders FROM three
    UNION ALL
    SELECT a AS item_1, c AS item_2, NULL AS item_3, b AS consequent, orders FROM three
    UNION ALL
    SELECT b AS item_1, c AS item_2, NULL AS item_3, a AS consequent, orders FROM three
    UNION ALL
    SELECT a AS item_1, b AS item_2, c AS item_3, d AS consequent, orders FROM four
    UNION ALL
    SELECT a AS item_1, b AS item_2, d AS item_3, c AS consequent, orders FROM four
    UNION ALL
    SELECT a AS item_1, c AS item_2, d AS item_3, b AS consequent, orders FROM four
    UNION ALL
    SELECT b AS item_1, c AS item_2, d AS item_3, a AS consequent, orders FROM four
),
-- How often the left side occurs: each frequent set has frequent parts.
counted AS (
    SELECT
        r.item_1,
        r.item_2,
        r.item_3,
        r.consequent,
        r.orders,
        coalesce(three.orders, two.orders, left_one.orders) AS orders_antecedent,
        right_one.orders AS orders_consequent,
        t.baskets
    FROM rules AS r
    INNER JOIN one AS left_one ON r.item_1 = left_one.a
    INNER JOIN one AS right_one ON r.consequent = right_one.a
    LEFT JOIN two ON r.item_1 = two.a AND r.item_2 = two.b AND r.item_3 IS NULL
    LEFT JOIN three ON r.item_1 = three.a AND r.item_2 = three.b AND r.item_3 = three.c
    CROSS JOIN total AS t
),
measured AS (
    SELECT
        concat_ws(' + ', item_1, item_2, item_3) AS antecedent,
        item_1,
        item_2,
        item_3,
        consequent,
        orders,
        orders_antecedent,
        orders_consequent,
        baskets,
        CAST(orders AS DOUBLE) / CAST(baskets AS DOUBLE) AS support,
        CAST(orders AS DOUBLE) / CAST(orders_antecedent AS DOUBLE) AS confidence,
        CAST(orders AS DOUBLE) * CAST(baskets AS DOUBLE)
            / (CAST(orders_antecedent AS DOUBLE) * CAST(orders_consequent AS DOUBLE)) AS lift
    FROM counted
)
SELECT
    antecedent,
    consequent,
    item_1,
    item_2,
    item_3,
    orders,
    orders_antecedent,
    orders_consequent,
    baskets,
    support,
    confidence,
    lift,
    support - CAST(orders_antecedent AS DOUBLE) * CAST(orders_consequent AS DOUBLE)
        / (CAST(baskets AS DOUBLE) * CAST(baskets AS DOUBLE)) AS leverage,
    CASE
        WHEN orders < orders_antecedent
        THEN (1 - CAST(orders_consequent AS DOUBLE) / CAST(baskets AS DOUBLE)) / (1 - confidence)
    END AS conviction
FROM measured
WHERE confidence >= $min_confidence
ORDER BY
    CASE WHEN $rank_by = 'lift' THEN lift WHEN $rank_by = 'confidence' THEN confidence END DESC,
    orders DESC,
    antecedent,
    consequent
LIMIT $top
