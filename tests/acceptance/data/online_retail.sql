-- The shop's lines as the file has them, and what counts as bought: by a customer, not cancelled, at a price.
\! rapport load online_retail online_retail.parquet
CREATE TABLE lines AS
SELECT i.order_id AS invoice, i.product_id, i.properties::json ->> 'Description' AS description, i.quantity,
    i.occurred_at AT TIME ZONE 'Europe/London' AS moment, (i.properties::json ->> 'UnitPrice')::numeric AS price,
    c.value::integer AS customer, i.properties::json ->> 'Country' AS country
FROM interactions AS i LEFT JOIN customer_identities AS c ON c.kind = 'online_retail' AND c.customer_id = i.customer_id
WHERE i.source = 'online_retail';
CREATE TABLE bought AS
SELECT customer, invoice, moment::date AS day, quantity * price AS amount
FROM lines WHERE customer IS NOT NULL AND invoice NOT LIKE 'C%' AND quantity > 0 AND price > 0;

-- Recency in days, frequency in invoices, as of the day after the last.
CREATE TABLE rfm AS
SELECT customer, date '2011-12-10' - max(day) AS r, count(DISTINCT invoice) AS f, sum(amount)::double precision AS m
FROM bought GROUP BY customer;

-- Customers as of 2011-08-31 in weeks, and the days of the 100 after it on which they bought.
CREATE TABLE shoppers AS
SELECT repeats, recency / 7 AS recency, age / 7 AS age, mean_spend, later
FROM (
    SELECT (rfm_summary(day, amount, date '2011-08-31')).*, count(DISTINCT day) FILTER (WHERE day > '2011-08-31') AS later
    FROM bought GROUP BY customer
) AS histories
WHERE repeats IS NOT NULL;
