CREATE TEMPORARY TABLE {table} AS
SELECT customer_id, (DATE '{as_of}' - max(day))::double precision AS recency,
    count(*)::double precision AS frequency, sum(amount)::double precision AS monetary
FROM (
    SELECT customer_id, (occurred_at AT TIME ZONE 'UTC')::date AS day, coalesce(sum(amount), 0) AS amount
    FROM ({purchases}) AS purchases
    WHERE occurred_at >= DATE '{as_of}' - {window} + 1 AND occurred_at < DATE '{as_of}' + 1
    GROUP BY 1, 2
) AS days
GROUP BY customer_id
