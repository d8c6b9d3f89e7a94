-- name: user_session_summary
-- description: Number, duration and conversion of the sessions of one user or of all users
-- param: user_id text = null -- the user; null summarises every user
-- param: from timestamp = null -- first session start (inclusive)
-- param: to timestamp = null -- last session start (exclusive)
-- input: sessions
-- output: user_session_summary
-- key: user_id
-- docs: Durations are in seconds. `conversion_rate` = sessions with status `converted` / sessions.
-- docs: `viewed_products` adds up the distinct products of each session.

SELECT
    user_id,
    count(*) AS sessions,
    sum(duration_seconds) AS duration_seconds,
    CAST(sum(duration_seconds) AS DOUBLE) / CAST(count(*) AS DOUBLE) AS avg_duration_seconds,
    min(start_ts) AS first_start_ts,
    max(start_ts) AS last_start_ts,
    CAST(coalesce(sum(array_length(viewed_products)), 0) AS BIGINT) AS viewed_products,
    count(CASE WHEN array_length(cart) > 0 THEN 1 END) AS sessions_with_cart,
    count(CASE WHEN conversion_status = 'converted' THEN 1 END) AS converted,
    CAST(count(CASE WHEN conversion_status = 'converted' THEN 1 END) AS DOUBLE)
        / CAST(count(*) AS DOUBLE) AS conversion_rate
FROM sessions
WHERE ($user_id IS NULL OR user_id = $user_id)
    AND ($from IS NULL OR start_ts >= $from)
    AND ($to IS NULL OR start_ts < $to)
GROUP BY user_id
ORDER BY user_id
