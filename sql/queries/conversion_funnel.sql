-- name: conversion_funnel
-- description: Sessions that viewed a product, filled a cart and converted (set funnel)
-- param: from timestamp = null -- first session start (inclusive)
-- param: to timestamp = null -- last session start (exclusive)
-- input: sessions
-- output: conversion_funnel
-- key: stage
-- docs: Set form: each session has three independent flags (viewed products, cart contents, conversion
-- docs: status `converted`), whatever their order in time. So a stage can be larger than the one before
-- docs: it: a session is converted by its status even when its cart is empty. `step_rate` is the ratio to
-- docs: the stage before, `overall_rate` to the viewed stage, `session_rate` to all sessions.
-- docs: For steps in order within a time window see `conversion_funnel_ordered`.

WITH flags AS (
    SELECT
        count(*) AS sessions,
        count(CASE WHEN array_length(viewed_products) > 0 THEN 1 END) AS viewed,
        count(CASE WHEN array_length(cart) > 0 THEN 1 END) AS carted,
        count(CASE WHEN conversion_status = 'converted' THEN 1 END) AS converted
    FROM sessions
    WHERE ($from IS NULL OR start_ts >= $from) AND ($to IS NULL OR start_ts < $to)
),
stages AS (
    SELECT
        n.stage_no,
        n.stage,
        CASE n.stage_no WHEN 1 THEN f.viewed WHEN 2 THEN f.carted ELSE f.converted END AS sessions,
        CASE n.stage_no WHEN 2 THEN f.viewed WHEN 3 THEN f.carted END AS previous,
        f.viewed AS first,
        f.sessions AS total
    FROM flags AS f
    CROSS JOIN (VALUES (1, 'viewed'), (2, 'carted'), (3, 'converted')) AS n (stage_no, stage)
)
SELECT
    stage_no,
    stage,
    sessions,
    CAST(sessions AS DOUBLE) / CAST(nullif(previous, 0) AS DOUBLE) AS step_rate,
    CAST(sessions AS DOUBLE) / CAST(nullif(first, 0) AS DOUBLE) AS overall_rate,
    CAST(sessions AS DOUBLE) / CAST(nullif(total, 0) AS DOUBLE) AS session_rate
FROM stages
ORDER BY stage_no
