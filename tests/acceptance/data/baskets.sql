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
SELECT model, customer, item, score, rank
FROM (
    SELECT model, customer, item, score, row_number() OVER (PARTITION BY model, customer ORDER BY score DESC, item) AS rank
    FROM scored LEFT JOIN had USING (customer, item) WHERE had.item IS NULL
) AS ranked
WHERE rank <= 2;
CREATE TABLE judged AS
WITH lists AS (
    SELECT model, customer, array_agg(item ORDER BY rank) AS items FROM recommended GROUP BY model, customer
), taken AS (
    SELECT customer, array_agg(item) AS items FROM took GROUP BY customer
)
SELECT model, (quality).precision, (quality).recall, (quality).ndcg, (quality).map_at_k, (quality).customers
FROM (
    SELECT model, ranking_quality(lists.items, taken.items, 2) AS quality FROM lists JOIN taken USING (customer) GROUP BY model
) AS t;
