WITH had AS (
    SELECT $customer AS customer, $item AS item, sum(CASE WHEN $method = 'als' THEN "$not_negative"('weight', ($weight)::double precision) END) AS weight
    FROM "$relation"
    WHERE $customer IS NOT NULL AND $item IS NOT NULL
    GROUP BY $customer, $item
), alike AS (
    SELECT (pair).item AS item, (pair).neighbour AS neighbour, (pair).score AS score
    FROM (
        SELECT unnest(item_neighbours(customer, item, $method, $neighbours)) AS pair
        FROM had WHERE "$one_of"('method', 'cosine, jaccard, als or popularity', $method) NOT IN ('als', 'popularity')
    ) AS pairs
), popular AS (
    SELECT item, customers, row_number() OVER (ORDER BY customers DESC, item) AS place
    FROM (SELECT item, count(*) AS customers FROM had WHERE $method = 'popularity' GROUP BY item) AS counted
), scored AS (
    SELECT had.customer, alike.neighbour AS item, sum(alike.score) AS score
    FROM had JOIN alike ON alike.item = had.item
    GROUP BY had.customer, alike.neighbour
    UNION ALL
    SELECT (best).customer, (best).item, (best).score
    FROM (SELECT unnest(als_recommend(customer, item, weight, $k)) AS best FROM had WHERE $method = 'als') AS found
    UNION ALL
    SELECT customers.customer, popular.item, popular.customers::double precision
    FROM (SELECT customer, count(*) AS n FROM had WHERE $method = 'popularity' GROUP BY customer) AS customers
    JOIN popular ON popular.place <= customers.n + $k
)
SELECT customer, rank::integer AS rank, item, score
FROM (
    SELECT customer, item, score, row_number() OVER (PARTITION BY customer ORDER BY score DESC, item) AS rank
    FROM scored
    WHERE NOT EXISTS (SELECT 1 FROM had WHERE had.customer = scored.customer AND had.item = scored.item)
) AS ranked
WHERE rank <= $k
ORDER BY customer, rank
