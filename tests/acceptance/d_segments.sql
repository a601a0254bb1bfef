-- Which customers are alike.

-- D1 k-means on the irises: inertia of 2 to 5 clusters; sizes, adjusted Rand index and silhouette of 3
-- data: iris
SELECT (kmeans_fit(2, a, b, c, d)).inertia, (kmeans_fit(3, a, b, c, d)).inertia, (kmeans_fit(4, a, b, c, d)).inertia,
    (kmeans_fit(5, a, b, c, d)).inertia
FROM iris;
--> 152.347952 ± 1e-5 | 78.851441 ± 1e-5 | 57.228473 ± 1e-5 | 46.446182 ± 1e-5
SELECT clusters, inertia FROM (SELECT (unnest(kmeans_choose(5, a, b, c, d))).* FROM iris) AS tried ORDER BY clusters;
--> 2 | 152.347952 ± 1e-5
--> 3 | 78.851441 ± 1e-5
--> 4 | 57.228473 ± 1e-5
--> 5 | 46.446182 ± 1e-5
SELECT silhouette FROM (SELECT (unnest(kmeans_choose(5, a, b, c, d))).* FROM iris) AS tried WHERE clusters = 3;
--> .552819 ± 1e-5
SELECT (kmeans_fit(3, a, b, c, d)).sizes FROM iris;
--> {62,50,38}
WITH fit AS (
    SELECT (kmeans_fit(3, a, b, c, d)).centres FROM iris
), assigned AS (
    SELECT iris.*, kmeans_assign(centres, ARRAY[a, b, c, d]) AS cluster FROM iris, fit
)
SELECT adjusted_rand_index(cluster, species), silhouette(cluster, a, b, c, d) FROM assigned;
--> 0.730238 ± 1e-5 | 0.552819 ± 1e-5

-- D2 Gaussian mixture of the irises: log-likelihood, BIC, weights
-- data: iris
SELECT log_likelihood, bic, weights[3], weights[2], weights[1] FROM (SELECT (gmm_fit(3, a, b, c, d)).* FROM iris) AS fit;
--> -180.1855 ± 1e-3 | 580.8389 ± 1e-3 | 0.2992 ± 1e-3 | 0.3333 ± 1e-3 | 0.3675 ± 1e-3

-- D3 Online Retail as it is, and what of it counts
-- data: online_retail
SELECT count(*), count(*) FILTER (WHERE customer IS NULL), count(*) FILTER (WHERE invoice LIKE 'C%'), count(DISTINCT customer) FROM lines;
--> 541909 | 135080 | 9288 | 4372
SELECT (SELECT count(*) FROM lines) - (SELECT count(*) FROM (SELECT DISTINCT * FROM lines) AS different);
--> 5268
SELECT count(*), count(DISTINCT customer), count(DISTINCT invoice), sum(amount) FROM bought;
--> 397884 | 4338 | 18532 | 8911407.904

-- D4 Recency, frequency and monetary value: means and the edges of fifths
-- data: online_retail
SELECT avg(r), avg(f), avg(m) FROM rfm;
--> 93.05947 ± 1e-4 | 4.272015 ± 1e-4 | 2054.26646 ± 1e-4
SELECT edges[1], edges[2], edges[3], edges[4]
FROM (SELECT 1, rfm_edges(r, 5) FROM rfm UNION ALL SELECT 2, rfm_edges(f, 5) FROM rfm UNION ALL SELECT 3, rfm_edges(m, 5) FROM rfm)
    AS t(n, edges) ORDER BY n;
--> 13.8 ± 1e-4 | 33 ± 1e-4 | 72 ± 1e-4 | 180 ± 1e-4
--> 1 ± 1e-4 | 2 ± 1e-4 | 3 ± 1e-4 | 6 ± 1e-4
--> 250.194 ± 1e-4 | 490.096 ± 1e-4 | 942.276 ± 1e-4 | 2058.426 ± 1e-4

-- D5 Fifths of equal size, ties by customer: champions, cells in use, revenue by recency
-- data: online_retail
CREATE TEMPORARY TABLE fifths AS
SELECT m, ntile(5) OVER (ORDER BY r DESC, customer) AS r, ntile(5) OVER (ORDER BY f, customer) AS f,
    ntile(5) OVER (ORDER BY m, customer) AS spend
FROM rfm;
SELECT count(*) FILTER (WHERE r = 5 AND f = 5 AND spend = 5), count(DISTINCT (r, f, spend)) FROM fifths;
--> 348 | 117
SELECT r, round(sum(m)::numeric, 2) FROM fifths GROUP BY r ORDER BY r;
--> 1 | 560146.77
--> 2 | 787844.80
--> 3 | 1157624.85
--> 4 | 1742676.05
--> 5 | 4663115.43

-- D6 What the best fifth of customers brings
-- data: online_retail
SELECT top_share(m, 0.2) FROM rfm;
--> 0.745940 ± 1e-6

-- D7 k-means on standardised logarithms of recency, frequency and monetary value: inertia of 3, 4 and 5 clusters, at most 0.1 % more
-- data: online_retail
WITH logs AS (
    SELECT ln(1 + r) AS r, ln(1 + f) AS f, ln(1 + m) AS m FROM rfm
), standard AS (
    SELECT (r - avg(r) OVER ()) / stddev_pop(r) OVER () AS r, (f - avg(f) OVER ()) / stddev_pop(f) OVER () AS f,
        (m - avg(m) OVER ()) / stddev_pop(m) OVER () AS m
    FROM logs
)
SELECT (kmeans_fit(3, r, f, m)).inertia / 4856.342, (kmeans_fit(4, r, f, m)).inertia / 3924.546, (kmeans_fit(5, r, f, m)).inertia / 3268.018
FROM standard;
--> <= 1.001 | <= 1.001 | <= 1.001
