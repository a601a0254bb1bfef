-- What customers did: the oracle is ClickHouse 26.9.

-- 2.8 Users by how far they got from the catalogue to the purchase, within an hour, a day and a week, in several modes
-- data: ecom_events
CREATE TEMPORARY TABLE steps AS
SELECT customer_id, occurred_at, event = 'catalog' AS a, event = 'product_view' AS b, event = 'add_to_cart' AS c,
    event = 'shipping_details' AS d, event = 'payment_details' AS e, event = 'purchase' AS f
FROM clicks;
CREATE TEMPORARY TABLE levels AS
SELECT window_funnel(interval '1 hour', occurred_at, a, b, c, d, e, f) AS hour,
    window_funnel(interval '1 hour', 'strict_order', occurred_at, a, b, c, d, e, f) AS hour_in_order,
    window_funnel(interval '1 hour', 'strict_deduplication', occurred_at, a, b, c, d, e, f) AS hour_without_repeats,
    window_funnel(interval '1 day', occurred_at, a, b, c, d, e, f) AS day,
    window_funnel(interval '7 days', occurred_at, a, b, c, d, e, f) AS week,
    window_funnel(interval '7 days', 'strict_increase', occurred_at, a, b, c, d, e, f) AS week_increasing,
    window_funnel(interval '7 days', 'allow_reentry, strict_order', occurred_at, a, b, c, d, e, f) AS week_reentered
FROM steps GROUP BY customer_id;
SELECT level, count(*) FILTER (WHERE hour = level), count(*) FILTER (WHERE hour_in_order = level),
    count(*) FILTER (WHERE hour_without_repeats = level), count(*) FILTER (WHERE day = level), count(*) FILTER (WHERE week = level),
    count(*) FILTER (WHERE week_increasing = level), count(*) FILTER (WHERE week_reentered = level)
FROM levels, generate_series(1, 6) AS g(level) GROUP BY level ORDER BY level;
--> 1 | 9 | 375 | 9 | 9 | 9 | 9 | 359
--> 2 | 208 | 205 | 514 | 205 | 181 | 182 | 216
--> 3 | 186 | 18 | 50 | 186 | 166 | 166 | 20
--> 4 | 124 | 2 | 16 | 124 | 120 | 120 | 5
--> 5 | 53 | 0 | 10 | 53 | 78 | 77 | 0
--> 6 | 20 | 0 | 1 | 23 | 46 | 46 | 0
-- Sessions, which end after half an hour without a click, are those of the file.
WITH counted AS (
    SELECT customer_id, session, session_id(occurred_at, interval '30 minutes') OVER (PARTITION BY customer_id ORDER BY occurred_at) AS n
    FROM clicks
), sessions AS (
    SELECT customer_id, n, min(session) AS first, max(session) AS last FROM counted GROUP BY customer_id, n
)
SELECT count(*), count(DISTINCT first), count(*) FILTER (WHERE first = last) FROM sessions;
--> 3605 | 3605 | 3605
-- Who came in January, and of them who came in each month to June.
SELECT sum(kept[1]), sum(kept[2]), sum(kept[3]), sum(kept[4]), sum(kept[5]), sum(kept[6])
FROM (
    SELECT retention(month = 1, month = 2, month = 3, month = 4, month = 5, month = 6) AS kept
    FROM (SELECT customer_id, extract(month FROM occurred_at) AS month FROM clicks) AS months GROUP BY customer_id
) AS users;
--> 63 | 45 | 38 | 43 | 39 | 32
-- Users who asked the support within an hour after an error, and who bought after a failed payment.
SELECT count(*) FILTER (WHERE asked), count(*) FILTER (WHERE paid)
FROM (
    SELECT sequence_match('(?1)(?t<=3600)(?2)', occurred_at, event = 'error_page', event = 'support_chat') AS asked,
        sequence_match('(?1).*(?2)', occurred_at, event = 'payment_error', event = 'purchase') AS paid
    FROM clicks GROUP BY customer_id
) AS users;
--> 15 | 17
-- How often something was put into the cart after it was looked at, and how often within a minute.
SELECT sum(ever), max(ever), count(*) FILTER (WHERE ever > 0), sum(soon), count(*) FILTER (WHERE soon > 0)
FROM (
    SELECT sequence_count('(?1).*(?2)', occurred_at, event = 'product_view', event = 'add_to_cart') AS ever,
        sequence_count('(?1)(?t<=60)(?2)', occurred_at, event = 'product_view', event = 'add_to_cart') AS soon
    FROM clicks GROUP BY customer_id
) AS users;
--> 1190 | 6 | 517 | 154 | 132
-- Where users went after their first error.
SELECT next, count(*)
FROM (
    SELECT sequence_next('forward', 'first_match', occurred_at, event, event = 'error_page', event = 'error_page') AS next
    FROM clicks GROUP BY customer_id
) AS users
WHERE next IN ('catalog', 'product_view', 'search', 'filter_results', 'home', 'payment_details', 'cart') OR next IS NULL
GROUP BY next ORDER BY count(*) DESC;
--> NULL | 391
--> catalog | 41
--> product_view | 40
--> search | 28
--> filter_results | 22
--> home | 20
--> payment_details | 9
--> cart | 8
-- ClickHouse's own tests of windowFunnel: users 1 to 6, without a mode, in strict order, and without repeats too.
CREATE TEMPORARY TABLE actions AS
SELECT customer, n, event FROM (VALUES
    (1, 1, 1000), (1, 2, 1001), (1, 3, 1002),
    (2, 1, 1000), (2, 2, 1003), (2, 3, 1001), (2, 4, 1002),
    (3, 1, 1000), (3, 2, 1000), (3, 3, 1001), (3, 4, 1001), (3, 5, 1002), (3, 6, 1002),
    (4, 1, 1000), (4, 2, 1000), (4, 3, 1000), (4, 4, 1000), (4, 5, 1001), (4, 6, 1001), (4, 7, 1002), (4, 8, 1002),
    (5, 1, 1000), (5, 2, 1000), (5, 3, 1001), (5, 4, 1001), (5, 5, 1003), (5, 6, 1002), (5, 7, 1002),
    (6, 1, 1002), (6, 2, 1002), (6, 3, 1001), (6, 4, 1001), (6, 5, 1000), (6, 6, 1000)) AS t(customer, n, event);
SELECT customer, window_funnel(86400, n, event = 1000, event = 1001, event = 1002),
    window_funnel(86400, 'strict_order', n, event = 1000, event = 1001, event = 1002),
    window_funnel(86400, 'strict_deduplication, strict_order', n, event = 1000, event = 1001, event = 1002)
FROM actions GROUP BY customer ORDER BY customer;
--> 1 | 3 | 3 | 3
--> 2 | 3 | 1 | 1
--> 3 | 3 | 3 | 2
--> 4 | 3 | 3 | 2
--> 5 | 3 | 2 | 2
--> 6 | 1 | 1 | 1
-- And of sequenceCount.
SELECT sequence_count('(?1)', n, event = 0, event = 1), sequence_count('(?1)(?1)', n, event = 0, event = 1),
    sequence_count('(?1)(?1)(?1)', n, event = 0, event = 1), sequence_count('(?1)(?t<11)(?2)', n, event = 0, event = 1),
    sequence_count('(?2)(?t>=7)(?2)', n, event = 0, event = 1), sequence_count('(?2)(?t>7)(?2)', n, event = 0, event = 1),
    sequence_match('', n, event = 0, event = 1)
FROM (VALUES (0, 0), (1, 0), (2, 0), (3, 0), (4, 1), (5, 2), (6, 0), (7, 0), (8, 0), (9, 0), (10, 1), (11, 1)) AS t(n, event);
--> 8 | 4 | 2 | 2 | 1 | 0 | t
