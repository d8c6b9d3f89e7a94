-- name: dataset_summary
-- description: Rows and time range of the main tables
-- input: users
-- input: categories
-- input: products
-- input: transactions
-- input: transaction_items
-- input: sessions
-- input: page_views
-- output: dataset_summary
-- key: table_name
-- docs: `first_ts` and `last_ts` are registrations of users, creation of products, times of orders,
-- docs: session starts and page views; tables without a time have nulls.

SELECT 'users' AS table_name, count(*) AS row_count, min(registration_ts) AS first_ts, max(registration_ts) AS last_ts FROM users
UNION ALL
SELECT 'categories' AS table_name, count(*) AS row_count, NULL AS first_ts, NULL AS last_ts FROM categories
UNION ALL
SELECT 'products' AS table_name, count(*) AS row_count, min(creation_ts) AS first_ts, max(creation_ts) AS last_ts FROM products
UNION ALL
SELECT 'transactions' AS table_name, count(*) AS row_count, min(ts) AS first_ts, max(ts) AS last_ts FROM transactions
UNION ALL
SELECT 'transaction_items' AS table_name, count(*) AS row_count, NULL AS first_ts, NULL AS last_ts FROM transaction_items
UNION ALL
SELECT 'sessions' AS table_name, count(*) AS row_count, min(start_ts) AS first_ts, max(start_ts) AS last_ts FROM sessions
UNION ALL
SELECT 'page_views' AS table_name, count(*) AS row_count, min(ts) AS first_ts, max(ts) AS last_ts FROM page_views
ORDER BY table_name
