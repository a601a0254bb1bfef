SELECT date_trunc('month', occurred_at) AS month, channel, count(*) FROM interactions GROUP BY 1, 2 ORDER BY 1, 2
