-- What else suits a customer. MovieLens may not be handed on: these are small matrices, worked by hand.

-- F1 What is popular: precision, recall, nDCG and average precision among the first two
-- data: baskets
SELECT precision, recall, ndcg, map_at_k, customers FROM judged WHERE model = 'popularity';
--> 0.5 ± 1e-5 | 0.7 ± 1e-5 | 0.677371 ± 1e-5 | 0.65 ± 1e-5 | 5

-- F2 By cosine, all neighbours
-- data: baskets
SELECT precision, recall, ndcg, map_at_k, customers FROM judged WHERE model = 'cosine';
--> 0.6 ± 1e-5 | 0.9 ± 1e-5 | 0.848815 ± 1e-5 | 0.8 ± 1e-5 | 5
SELECT customer, item, score FROM recommended WHERE model = 'cosine' AND rank = 1 AND customer <> 'ann' ORDER BY customer;
--> bob | pot | 1.115355 ± 1e-5
--> cid | mug | 0.985599 ± 1e-5
--> dan | tea | 1.154701 ± 1e-5
--> eve | cup | 0.955342 ± 1e-5
--> fay | mug | 1 ± 1e-5

-- F3 By cosine, the nearest neighbour, which leaves three customers without a recommendation, and the nearest two
-- data: baskets
SELECT precision, recall, ndcg, map_at_k, customers FROM judged WHERE model LIKE 'cosine of %' ORDER BY model;
--> 0.5 ± 1e-5 | 0.75 ± 1e-5 | 0.693426 ± 1e-5 | 0.625 ± 1e-5 | 2
--> 0.4 ± 1e-5 | 0.6 ± 1e-5 | 0.645259 ± 1e-5 | 0.6 ± 1e-5 | 5

-- F4 By Jaccard's index
-- data: baskets
SELECT precision, recall, ndcg, map_at_k, customers FROM judged WHERE model = 'jaccard';
--> 0.6 ± 1e-5 | 0.9 ± 1e-5 | 0.848815 ± 1e-5 | 0.8 ± 1e-5 | 5
SELECT customer, item, score FROM recommended WHERE model = 'jaccard' AND rank = 1 AND customer <> 'ann' ORDER BY customer;
--> bob | pot | 0.75 ± 1e-5
--> cid | mug | 0.65 ± 1e-5
--> dan | tea | 0.733333 ± 1e-5
--> eve | cup | 0.666667 ± 1e-5
--> fay | mug | 0.7 ± 1e-5

-- F5 By alternating least squares: of two groups of films each customer has seen all of one but one, which suits best
WITH watched AS (
    SELECT customer, CASE WHEN customer < 4 THEN 'crime ' ELSE 'love ' END || film AS film
    FROM generate_series(0, 7) AS customers(customer), generate_series(0, 3) AS films(film) WHERE film <> customer % 4
), recommended AS (
    SELECT unnest(als_recommend(customer, film, 1, 1, 2)) AS r FROM watched
)
SELECT count(*), count(*) FILTER (WHERE (r).item = CASE WHEN (r).customer < 4 THEN 'crime ' ELSE 'love ' END || ((r).customer % 4))
FROM recommended;
--> 8 | 8

-- F6 The neighbours of tea by cosine
-- data: baskets
SELECT neighbour, score FROM near WHERE model = 'cosine' AND item = 'tea' ORDER BY score DESC, neighbour;
--> pot | 0.707107 ± 1e-6
--> mug | 0.577350 ± 1e-6
--> cup | 0.288675 ± 1e-6
--> jam | 0.288675 ± 1e-6
