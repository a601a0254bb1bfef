WITH known AS (
    SELECT $customer AS customer, coalesce($seed, false) AS seed,
        ARRAY["$each"(
            CASE WHEN stddev_pop($feature) OVER () > 0
                THEN (($feature) - avg($feature) OVER ()) / stddev_pop($feature) OVER ()
                ELSE 0 * ($feature)
            END::double precision
        )] AS features
    FROM "$relation"
    WHERE $customer IS NOT NULL
)
SELECT customer, rank::integer AS rank, score
FROM (
    SELECT customer, score, row_number() OVER (ORDER BY score DESC, customer) AS rank
    FROM (
        SELECT known.customer, logistic_probability(fitted.intercept, fitted.coefficients, known.features) AS score
        FROM known CROSS JOIN (SELECT (ridge_logistic_fit(seed, 1, 1, features)).* FROM known) AS fitted
        WHERE NOT known.seed
    ) AS scored
    WHERE score IS NOT NULL
) AS ranked
WHERE rank <= $k
ORDER BY rank
