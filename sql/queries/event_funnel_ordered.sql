-- name: event_funnel_ordered
-- description: User sessions of the event log that reached view, cart and purchase in this order within a window
-- param: from timestamp = null -- first event (inclusive)
-- param: to timestamp = null -- last event (exclusive)
-- param: window_minutes int(0..) = 60 -- time from the view in which the later steps must happen
-- input: events
-- output: event_funnel_ordered
-- key: stage
-- docs: The ordered funnel of `conversion_funnel_ordered` over `events`: view, then cart, then purchase
-- docs: in one `user_session`, the later steps within the window of the view. A purchase without a cart
-- docs: event before it does not count as a purchase step. Events at the same instant are ordered by
-- docs: `event_id`. `step_rate` is the ratio to the stage before, `overall_rate` to the view.

WITH steps AS (
    SELECT
        user_session,
        event_time,
        event_id,
        CASE event_type WHEN 'view' THEN 1 WHEN 'cart' THEN 2 WHEN 'purchase' THEN 3 END AS step
    FROM events
    WHERE event_type IN ('view', 'cart', 'purchase')
        AND ($from IS NULL OR event_time >= $from)
        AND ($to IS NULL OR event_time < $to)
),
-- start_n = start of the latest chain that has reached step n so far. Starts never decrease, so
-- "the latest" is a running maximum.
chain_1 AS (
    SELECT
        user_session, event_time, event_id, step,
        max(CASE WHEN step = 1 THEN event_time END) OVER (
            PARTITION BY user_session ORDER BY event_time, event_id ROWS UNBOUNDED PRECEDING
        ) AS start_1
    FROM steps
),
chain_2 AS (
    SELECT
        user_session, event_time, event_id, step, start_1,
        max(CASE
            WHEN step = 2
                AND event_time - start_1 <= arrow_cast($window_minutes * 60000000, 'Duration(Microsecond)')
            THEN start_1
        END) OVER (
            PARTITION BY user_session ORDER BY event_time, event_id ROWS UNBOUNDED PRECEDING
        ) AS start_2
    FROM chain_1
),
levels AS (
    SELECT
        user_session,
        max(CASE
            WHEN step = 3
                AND event_time - start_2 <= arrow_cast($window_minutes * 60000000, 'Duration(Microsecond)')
            THEN 3
            WHEN start_2 IS NOT NULL THEN 2
            WHEN start_1 IS NOT NULL THEN 1
            ELSE 0
        END) AS level
    FROM chain_2
    GROUP BY user_session
),
counts AS (
    SELECT
        count(CASE WHEN level >= 1 THEN 1 END) AS viewed,
        count(CASE WHEN level >= 2 THEN 1 END) AS carted,
        count(CASE WHEN level >= 3 THEN 1 END) AS purchased
    FROM levels
),
stages AS (
    SELECT
        n.stage_no,
        n.stage,
        CASE n.stage_no WHEN 1 THEN c.viewed WHEN 2 THEN c.carted ELSE c.purchased END AS sessions,
        CASE n.stage_no WHEN 2 THEN c.viewed WHEN 3 THEN c.carted END AS previous,
        c.viewed AS first
    FROM counts AS c
    CROSS JOIN (VALUES (1, 'view'), (2, 'cart'), (3, 'purchase')) AS n (stage_no, stage)
)
SELECT
    stage_no,
    stage,
    sessions,
    CAST(sessions AS DOUBLE) / CAST(nullif(previous, 0) AS DOUBLE) AS step_rate,
    CAST(sessions AS DOUBLE) / CAST(nullif(first, 0) AS DOUBLE) AS overall_rate
FROM stages
ORDER BY stage_no
