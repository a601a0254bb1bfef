-- Of 1,000 customers of two segments, how many are left after each renewal: Fader & Hardie (2007). As histories: who left
-- at which renewal, and who was there after the last.
CREATE TABLE contracts AS
WITH left_over(segment, renewal, customers) AS (VALUES
    ('high end', 0, 1000), ('high end', 1, 869), ('high end', 2, 743), ('high end', 3, 653), ('high end', 4, 593),
    ('high end', 5, 551), ('high end', 6, 517), ('high end', 7, 491),
    ('regular', 0, 1000), ('regular', 1, 631), ('regular', 2, 468), ('regular', 3, 382), ('regular', 4, 326),
    ('regular', 5, 289), ('regular', 6, 262), ('regular', 7, 241))
SELECT segment, renewal AS tenure, true AS has_left, before - customers AS customers
FROM (SELECT *, lag(customers) OVER (PARTITION BY segment ORDER BY renewal) AS before FROM left_over) AS falling
WHERE renewal > 0
UNION ALL
SELECT segment, renewal, false, customers FROM left_over WHERE renewal = 7;
