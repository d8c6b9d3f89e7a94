-- name: customers_by_country
-- description: Registered customers and buyers per country
-- param: from timestamp = null -- first registration (inclusive)
-- param: to timestamp = null -- last registration (exclusive)
-- param: statuses list? = completed,processing,shipped,delivered -- order statuses that make a customer a buyer; null counts all
-- input: users
-- input: transactions
-- output: customers_by_country
-- key: country
-- docs: A customer is counted once, however many orders or repeated user rows there are. A missing or
-- docs: empty country is the bucket `unknown`. `buyers` have at least one order with one of the
-- docs: statuses, at any time.
-- docs: Avoids: customers multiplied by their orders, dropped customers without a country.

WITH customers AS (
    SELECT user_id, max(nullif(trim(country), '')) AS country
    FROM users
    WHERE ($from IS NULL OR registration_ts >= $from)
        AND ($to IS NULL OR registration_ts < $to)
    GROUP BY user_id
),
buyers AS (
    SELECT DISTINCT user_id
    FROM transactions
    WHERE user_id IS NOT NULL AND ($statuses IS NULL OR array_has($statuses, status))
),
countries AS (
    SELECT
        coalesce(c.country, 'unknown') AS country,
        count(*) AS customers,
        count(b.user_id) AS buyers
    FROM customers AS c
    LEFT JOIN buyers AS b ON c.user_id = b.user_id
    GROUP BY coalesce(c.country, 'unknown')
)
SELECT
    country,
    customers,
    CAST(customers AS DOUBLE) / CAST(sum(customers) OVER () AS DOUBLE) AS customer_share,
    buyers,
    CAST(buyers AS DOUBLE) / CAST(customers AS DOUBLE) AS buyer_rate
FROM countries
ORDER BY customers DESC, country
