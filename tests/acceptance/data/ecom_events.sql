-- The click-stream of 600 users of a shop.
\! rapport load ecom_events ecom_events.csv.gz
CREATE VIEW clicks AS
SELECT customer_id, session_id AS session, touchpoint AS event, occurred_at
FROM interactions WHERE source = 'ecom_events';
