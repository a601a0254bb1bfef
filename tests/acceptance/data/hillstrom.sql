-- Hillstrom's customers, what they were sent, and what they did then. Rows of the file are counted from 0.
-- data: crc32
\! rapport load hillstrom hillstrom.csv
CREATE TABLE hillstrom AS
WITH sent AS (
    SELECT i.customer_id, c.value::integer - 1 AS n, i.touchpoint AS segment, i.properties::json AS p
    FROM interactions AS i JOIN customer_identities AS c ON c.kind = 'hillstrom_row' AND c.customer_id = i.customer_id
    WHERE i.source = 'hillstrom' AND i.interaction_type = 'assignment'
), done AS (
    SELECT customer_id, count(*) FILTER (WHERE interaction_type = 'visit') AS visit,
        count(*) FILTER (WHERE interaction_type = 'purchase') AS conversion, sum(amount) AS spend
    FROM interactions WHERE source = 'hillstrom' GROUP BY customer_id
)
SELECT n, segment, visit, conversion, coalesce(spend, 0)::double precision AS spend,
    (p ->> 'recency')::integer AS recency, (p ->> 'history')::double precision AS history, (p ->> 'mens')::integer AS mens,
    (p ->> 'womens')::integer AS womens, p ->> 'zip_code' AS zip_code, (p ->> 'newbie')::integer AS newbie, p ->> 'channel' AS channel
FROM sent JOIN done USING (customer_id);

-- Those who got the e-mail for women or none, in two halves by the CRC-32 of their row's number.
CREATE TABLE womens_trial AS
WITH RECURSIVE fold(n, digits, crc, length) AS (
    SELECT n, n::text, 4294967295::bigint, 0 FROM hillstrom WHERE segment <> 'Mens E-Mail'
    UNION ALL
    SELECT n, digits, (fold.crc >> 8) # bytes.crc, length + 1
    FROM fold JOIN crc32_bytes AS bytes ON bytes.byte = (fold.crc & 255) # ascii(substr(digits, length + 1, 1))
    WHERE length < length(digits)
)
SELECT h.*, segment = 'Womens E-Mail' AS treated, (crc # 4294967295) % 2 AS half
FROM fold JOIN hillstrom AS h USING (n) WHERE length = length(digits);
CREATE VIEW womens_features AS
SELECT *, ARRAY[recency, history, mens, womens, newbie, (zip_code = 'Surburban')::integer, (zip_code = 'Rural')::integer,
    (zip_code = 'Urban')::integer, (channel = 'Web')::integer, (channel = 'Phone')::integer, (channel = 'Multichannel')::integer] AS features
FROM womens_trial;

-- One model of those in the first half with the e-mail, one of those without: how much likelier it makes a visit in the second.
CREATE TABLE womens_uplift AS
WITH got AS (
    SELECT (ridge_logistic_fit(visit, 1, 1, features)).* FROM womens_features WHERE half = 0 AND treated
), not_got AS (
    SELECT (ridge_logistic_fit(visit, 1, 1, features)).* FROM womens_features WHERE half = 0 AND NOT treated
)
SELECT visit, treated, womens, logistic_probability(got.intercept, got.coefficients, features)
    - logistic_probability(not_got.intercept, not_got.coefficients, features) AS uplift
FROM womens_features, got, not_got WHERE half = 1;
