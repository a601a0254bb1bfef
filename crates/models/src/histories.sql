CREATE TEMPORARY TABLE histories AS
SELECT customer_id,
    (past).repeats AS past_repeats, (past).recency AS past_recency, (past).age AS past_age,
    CASE WHEN (past).mean_spend > 0 THEN (past).mean_spend END AS past_spend,
    (whole).repeats AS repeats, (whole).recency AS recency, (whole).age AS age,
    CASE WHEN (whole).mean_spend > 0 THEN (whole).mean_spend END AS spend,
    (whole).repeats - (past).repeats AS next_purchases,
    CASE WHEN (past).age IS NOT NULL THEN next_spend END AS next_spend
FROM (
    SELECT customer_id,
        rfm_summary(occurred_at, amount, DATE '{cutoff}') AS past,
        rfm_summary(occurred_at, amount, DATE '{as_of}') AS whole,
        coalesce(sum(amount) FILTER (WHERE occurred_at >= DATE '{cutoff}' + 1 AND occurred_at < DATE '{as_of}' + 1), 0)::double precision AS next_spend
    FROM ({purchases}) AS purchases
    WHERE occurred_at < DATE '{as_of}' + 1
    GROUP BY customer_id
) AS summaries
WHERE (whole).age IS NOT NULL
