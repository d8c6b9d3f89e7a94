-- name: satisfaction_by_category
-- description: Number, mean and distribution of the user ratings per category
-- param: from timestamp = null -- first order (inclusive)
-- param: to timestamp = null -- last order (exclusive)
-- param: statuses list? = shipped,delivered,pending -- order statuses whose ratings count (any case); null counts all
-- input: orders
-- output: satisfaction_by_category
-- key: category
-- docs: Ratings are the column `user_rating`, 1 to 5; a missing or other value is not a rating and is
-- docs: counted in `unrated`. `satisfied_share` is the share of ratings 4 and 5. A category without any
-- docs: rating has a null mean.
-- docs: Avoids: delivery days shown as ratings because of shifted columns, orders without a rating
-- docs: counted as zero.

WITH rated AS (
    SELECT
        coalesce(category, 'unknown') AS category,
        CASE WHEN user_rating BETWEEN 1 AND 5 THEN user_rating END AS rating
    FROM orders
    WHERE ($from IS NULL OR "timestamp" >= $from)
        AND ($to IS NULL OR "timestamp" < $to)
        AND ($statuses IS NULL OR array_has($statuses, lower(status)))
),
categories AS (
    SELECT
        category,
        count(rating) AS ratings,
        count(*) - count(rating) AS unrated,
        sum(rating) AS rating_sum,
        count(CASE WHEN rating = 1 THEN 1 END) AS rated_1,
        count(CASE WHEN rating = 2 THEN 1 END) AS rated_2,
        count(CASE WHEN rating = 3 THEN 1 END) AS rated_3,
        count(CASE WHEN rating = 4 THEN 1 END) AS rated_4,
        count(CASE WHEN rating = 5 THEN 1 END) AS rated_5
    FROM rated
    GROUP BY category
)
SELECT
    category,
    ratings,
    unrated,
    CAST(rating_sum AS DOUBLE) / CAST(nullif(ratings, 0) AS DOUBLE) AS avg_rating,
    CAST(rated_4 + rated_5 AS DOUBLE) / CAST(nullif(ratings, 0) AS DOUBLE) AS satisfied_share,
    rated_1,
    rated_2,
    rated_3,
    rated_4,
    rated_5
FROM categories
ORDER BY category
