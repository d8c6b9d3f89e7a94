-- name: repeat_rate
-- description: Share of customers who came back, and how long they took
-- param: from timestamp = null -- first instant (inclusive)
-- param: to timestamp = null -- last instant (exclusive)
-- param: statuses list? = completed,processing,shipped,delivered -- order statuses that count as sales; null counts all
-- input: transactions
-- output: repeat_rate
-- key: currency
-- docs: A purchase is a customer-day: orders of one customer on one UTC day are one purchase, as in
-- docs: the job `clv`. `repeat_rate` = customers with two purchases or more / customers.
-- docs: `purchases_per_customer` = purchases / customers, `avg_days_to_second` is the mean of the days
-- docs: from the first to the second purchase of those who have one. Guest orders have no customer
-- docs: and are left out. Each currency has its own row.
-- docs: Avoids: an order split over two payments counted as a customer who came back.

WITH purchases AS (
    SELECT currency, user_id, CAST(ts AS DATE) AS day
    FROM transactions
    WHERE user_id IS NOT NULL
        AND ($from IS NULL OR ts >= $from)
        AND ($to IS NULL OR ts < $to)
        AND ($statuses IS NULL OR array_has($statuses, status))
    GROUP BY currency, user_id, CAST(ts AS DATE)
),
numbered AS (
    SELECT
        currency,
        user_id,
        day,
        row_number() OVER (PARTITION BY currency, user_id ORDER BY day) AS n
    FROM purchases
),
customers AS (
    SELECT
        currency,
        user_id,
        max(n) AS purchases,
        CAST(CAST(max(CASE WHEN n = 2 THEN day END) AS INT) AS BIGINT)
            - CAST(CAST(max(CASE WHEN n = 1 THEN day END) AS INT) AS BIGINT) AS wait
    FROM numbered
    GROUP BY currency, user_id
)
SELECT
    currency,
    count(*) AS customers,
    count(CASE WHEN purchases > 1 THEN 1 END) AS repeat_customers,
    CAST(count(CASE WHEN purchases > 1 THEN 1 END) AS DOUBLE) / CAST(count(*) AS DOUBLE) AS repeat_rate,
    CAST(sum(purchases) AS BIGINT) AS purchases,
    CAST(sum(purchases) AS DOUBLE) / CAST(count(*) AS DOUBLE) AS purchases_per_customer,
    CAST(sum(wait) AS DOUBLE) / CAST(nullif(count(wait), 0) AS DOUBLE) AS avg_days_to_second
FROM customers
GROUP BY currency
ORDER BY currency
