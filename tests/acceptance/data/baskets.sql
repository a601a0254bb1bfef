-- What six customers had, and what they took afterwards.
CREATE TABLE had AS
SELECT customer, item FROM (VALUES
    ('ann', 'tea'), ('ann', 'mug'), ('ann', 'pot'), ('ann', 'cup'), ('bob', 'tea'), ('bob', 'mug'), ('cid', 'tea'), ('cid', 'pot'),
    ('dan', 'mug'), ('dan', 'jam'), ('dan', 'cup'), ('eve', 'tea'), ('eve', 'jam'), ('fay', 'cup'), ('fay', 'jam')
) AS baskets(customer, item);
CREATE TABLE took AS
SELECT customer, item FROM (VALUES
    ('bob', 'pot'), ('cid', 'mug'), ('cid', 'jam'), ('dan', 'tea'), ('eve', 'cup'), ('eve', 'mug'), ('fay', 'tea')
) AS later(customer, item);

-- How near each item is to another by each model, and how popular it is.
CREATE TABLE near AS
SELECT model, (n).item, (n).neighbour, (n).score
FROM (
    SELECT 'cosine' AS model, unnest(item_neighbours(customer, item, 'cosine', 100)) AS n FROM had
    UNION ALL SELECT 'cosine of 1', unnest(item_neighbours(customer, item, 'cosine', 1)) FROM had
    UNION ALL SELECT 'cosine of 2', unnest(item_neighbours(customer, item, 'cosine', 2)) FROM had
    UNION ALL SELECT 'jaccard', unnest(item_neighbours(customer, item, 'jaccard', 100)) FROM had
) AS t;
CREATE TABLE scored AS
SELECT model, customer, neighbour AS item, sum(score) AS score FROM near JOIN had USING (item) GROUP BY model, customer, neighbour
UNION ALL
SELECT 'popularity', customer, item, customers
FROM (SELECT DISTINCT customer FROM had) AS everybody, (SELECT item, count(*) AS customers FROM had GROUP BY item) AS items;

-- The best two that a customer has not had, ties by item; and how good they are, on average over the customers.
CREATE TABLE recommended AS
SELECT model, customer, item, score, rank, took.item IS NOT NULL AS hit
FROM (
    SELECT model, customer, item, score, row_number() OVER (PARTITION BY model, customer ORDER BY score DESC, item) AS rank
    FROM scored LEFT JOIN had USING (customer, item) WHERE had.item IS NULL
) AS ranked LEFT JOIN took USING (customer, item)
WHERE rank <= 2;
CREATE TABLE judged AS
WITH hits AS (
    SELECT model, customer, rank, hit, sum(hit::integer) OVER (PARTITION BY model, customer ORDER BY rank) AS so_far FROM recommended
), customers AS (
    SELECT model, customer, sum(hit::integer) AS hits, sum(CASE WHEN hit THEN ln(2) / ln(1 + rank) ELSE 0 END) AS gain,
        sum(CASE WHEN hit THEN so_far / rank::double precision ELSE 0 END) AS precisions
    FROM hits GROUP BY model, customer
), wanted AS (
    SELECT customer, count(*) AS n, CASE WHEN count(*) > 1 THEN 1 + ln(2) / ln(3) ELSE 1 END AS best FROM took GROUP BY customer
)
SELECT model, sum(hits) / 2.0 / 5 AS precision_at_2, sum(hits / n::double precision) / 5 AS recall, sum(gain / best) / 5 AS ndcg,
    sum(precisions / least(n, 2)) / 5 AS average_precision
FROM customers JOIN wanted USING (customer) GROUP BY model;
