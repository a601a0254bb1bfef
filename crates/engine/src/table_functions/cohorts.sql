WITH active AS (
    SELECT customer, period, sum(amount) AS amount
    FROM (
        SELECT $customer AS customer, date_trunc("$one_of"('period', 'day, week, month, quarter or year', lower($period)), $occurred_at)::date AS period, ($amount)::double precision AS amount
        FROM "$relation"
    ) AS events
    WHERE customer IS NOT NULL AND period IS NOT NULL
    GROUP BY customer, period
), began AS (
    SELECT customer, period, amount, min(period) OVER (PARTITION BY customer) AS cohort FROM active
), counted AS (
    SELECT cohort, period, count(*) AS customers, sum(amount) AS amount FROM began GROUP BY cohort, period
), sizes AS (
    SELECT cohort, customers AS size FROM counted WHERE cohort = period
), grid AS (
    SELECT sizes.cohort, sizes.size, periods.period,
        (extract(year FROM periods.period) - extract(year FROM sizes.cohort)) * 12
            + extract(month FROM periods.period) - extract(month FROM sizes.cohort) AS months
    FROM sizes JOIN (SELECT DISTINCT period FROM counted) AS periods ON periods.period >= sizes.cohort
)
SELECT grid.cohort, grid.period,
    CASE lower($period)
        WHEN 'day' THEN grid.period - grid.cohort
        WHEN 'week' THEN (grid.period - grid.cohort) / 7
        WHEN 'month' THEN months
        WHEN 'quarter' THEN months / 3
        WHEN 'year' THEN months / 12
    END::integer AS age,
    grid.size, coalesce(counted.customers, 0) AS customers,
    coalesce(counted.customers, 0)::double precision / grid.size AS share,
    counted.amount
FROM grid LEFT JOIN counted ON counted.cohort = grid.cohort AND counted.period = grid.period
ORDER BY grid.cohort, grid.period
