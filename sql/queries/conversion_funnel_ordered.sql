-- name: conversion_funnel_ordered
-- description: Sessions that reached product view, cart, checkout and confirmation in this order within a window
-- param: from timestamp = null -- first page view (inclusive)
-- param: to timestamp = null -- last page view (exclusive)
-- param: window_minutes int(0..) = 60 -- time from the product view in which the later steps must happen
-- input: page_views
-- output: conversion_funnel_ordered
-- key: stage
-- docs: Ordered form (`windowFunnel`): going through a session by time, a product view opens a chain; a
-- docs: cart view continues the last open chain if it is within the window of the chain's product view;
-- docs: checkout and confirmation likewise. A session has reached a stage when any chain reached it, so
-- docs: each stage is at most as large as the one before. Other pages in between do not matter.
-- docs: Page views at the same instant are ordered by `seq`. `step_rate` is the ratio to the stage
-- docs: before, `overall_rate` to the product view.

WITH steps AS (
    SELECT
        session_id,
        ts,
        seq,
        CASE page_type
            WHEN 'product_detail' THEN 1
            WHEN 'cart' THEN 2
            WHEN 'checkout' THEN 3
            WHEN 'confirmation' THEN 4
        END AS step
    FROM page_views
    WHERE page_type IN ('product_detail', 'cart', 'checkout', 'confirmation')
        AND ($from IS NULL OR ts >= $from)
        AND ($to IS NULL OR ts < $to)
),
-- start_n = start of the latest chain that has reached step n so far. Starts never decrease, so
-- "the latest" is a running maximum.
chain_1 AS (
    SELECT
        session_id, ts, seq, step,
        max(CASE WHEN step = 1 THEN ts END) OVER (
            PARTITION BY session_id ORDER BY ts, seq ROWS UNBOUNDED PRECEDING
        ) AS start_1
    FROM steps
),
chain_2 AS (
    SELECT
        session_id, ts, seq, step, start_1,
        max(CASE
            WHEN step = 2 AND ts - start_1 <= arrow_cast($window_minutes * 60000000, 'Duration(Microsecond)')
            THEN start_1
        END) OVER (PARTITION BY session_id ORDER BY ts, seq ROWS UNBOUNDED PRECEDING) AS start_2
    FROM chain_1
),
chain_3 AS (
    SELECT
        session_id, ts, seq, step, start_1, start_2,
        max(CASE
            WHEN step = 3 AND ts - start_2 <= arrow_cast($window_minutes * 60000000, 'Duration(Microsecond)')
            THEN start_2
        END) OVER (PARTITION BY session_id ORDER BY ts, seq ROWS UNBOUNDED PRECEDING) AS start_3
    FROM chain_2
),
levels AS (
    SELECT
        session_id,
        max(CASE
            WHEN step = 4 AND ts - start_3 <= arrow_cast($window_minutes * 60000000, 'Duration(Microsecond)')
            THEN 4
            WHEN start_3 IS NOT NULL THEN 3
            WHEN start_2 IS NOT NULL THEN 2
            WHEN start_1 IS NOT NULL THEN 1
            ELSE 0
        END) AS level
    FROM chain_3
    GROUP BY session_id
),
counts AS (
    SELECT
        count(CASE WHEN level >= 1 THEN 1 END) AS viewed,
        count(CASE WHEN level >= 2 THEN 1 END) AS carted,
        count(CASE WHEN level >= 3 THEN 1 END) AS checked_out,
        count(CASE WHEN level >= 4 THEN 1 END) AS confirmed
    FROM levels
),
stages AS (
    SELECT
        n.stage_no,
        n.stage,
        CASE n.stage_no
            WHEN 1 THEN c.viewed WHEN 2 THEN c.carted WHEN 3 THEN c.checked_out ELSE c.confirmed
        END AS sessions,
        CASE n.stage_no
            WHEN 2 THEN c.viewed WHEN 3 THEN c.carted WHEN 4 THEN c.checked_out
        END AS previous,
        c.viewed AS first
    FROM counts AS c
    CROSS JOIN (
        VALUES (1, 'product_detail'), (2, 'cart'), (3, 'checkout'), (4, 'confirmation')
    ) AS n (stage_no, stage)
)
SELECT
    stage_no,
    stage,
    sessions,
    CAST(sessions AS DOUBLE) / CAST(nullif(previous, 0) AS DOUBLE) AS step_rate,
    CAST(sessions AS DOUBLE) / CAST(nullif(first, 0) AS DOUBLE) AS overall_rate
FROM stages
ORDER BY stage_no
