-- name: conversion_by_device_referrer
-- description: Session conversion rate per device type and referrer, with its 95 % interval
-- param: from timestamp = null -- first session start (inclusive)
-- param: to timestamp = null -- last session start (exclusive)
-- input: sessions
-- output: conversion_by_device_referrer
-- key: device_type, referrer
-- docs: `conversion_rate` = sessions with status `converted` / sessions. `rate_low` and `rate_high` are
-- docs: the 95 % Wilson score interval: groups whose intervals overlap are not shown to differ.
-- docs: A missing device or referrer is the bucket `unknown`. Purchases outside sessions do not count.

WITH groups AS (
    SELECT
        coalesce(device_type, 'unknown') AS device_type,
        coalesce(referrer, 'unknown') AS referrer,
        count(*) AS sessions,
        count(CASE WHEN conversion_status = 'converted' THEN 1 END) AS converted
    FROM sessions
    WHERE ($from IS NULL OR start_ts >= $from) AND ($to IS NULL OR start_ts < $to)
    GROUP BY coalesce(device_type, 'unknown'), coalesce(referrer, 'unknown')
),
rates AS (
    SELECT
        device_type,
        referrer,
        sessions,
        converted,
        CAST(converted AS DOUBLE) / CAST(sessions AS DOUBLE) AS rate,
        -- z squared over n, for z = 1.959964
        3.841458820694124 / CAST(sessions AS DOUBLE) AS z2
    FROM groups
)
SELECT
    device_type,
    referrer,
    sessions,
    converted,
    rate AS conversion_rate,
    greatest(0.0, (rate + z2 / 2 - sqrt(z2 * rate * (1 - rate) + z2 * z2 / 4)) / (1 + z2)) AS rate_low,
    least(1.0, (rate + z2 / 2 + sqrt(z2 * rate * (1 - rate) + z2 * z2 / 4)) / (1 + z2)) AS rate_high
FROM rates
ORDER BY device_type, referrer
