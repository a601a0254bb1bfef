-- All that Telco knows of its customers, as numbers, and their fold: the CRC-32 of their number, modulo 5.
-- data: telco crc32
CREATE TABLE telco_folds AS
WITH RECURSIVE folded(customer_id, crc, length) AS (
    SELECT customer_id, 4294967295::bigint, 0 FROM telco_file
    UNION ALL
    SELECT customer_id, (folded.crc >> 8) # bytes.crc, length + 1
    FROM folded JOIN crc32_bytes AS bytes ON bytes.byte = (folded.crc & 255) # ascii(substr(customer_id, length + 1, 1))
    WHERE length < length(customer_id)
), folds AS (
    SELECT customer_id, (crc # 4294967295) % 5 AS fold FROM folded WHERE length = length(customer_id)
)
SELECT fold, churned, ARRAY[t.tenure, monthly, total, t.senior, one_year, two_year, fiber, no_internet, echeck, paperless,
        (gender = 'Male')::integer, (partner = 'Yes')::integer, (dependents = 'Yes')::integer, (phone_service = 'Yes')::integer,
        (multiple_lines = 'Yes')::integer, (online_security = 'Yes')::integer, (online_backup = 'Yes')::integer,
        (device_protection = 'Yes')::integer, (tech_support = 'Yes')::integer, (streaming_tv = 'Yes')::integer,
        (streaming_movies = 'Yes')::integer, (payment_method = 'Mailed check')::integer,
        (payment_method = 'Credit card (automatic)')::integer] AS features
FROM telco AS t JOIN telco_file USING (customer_id) JOIN folds USING (customer_id);

-- The same in comparable units, a missing total as none.
CREATE TABLE telco_standard AS
WITH totals AS (
    SELECT avg(features[1]) AS tenure, stddev_pop(features[1]) AS tenure_sd, avg(features[2]) AS monthly,
        stddev_pop(features[2]) AS monthly_sd, avg(features[3]) AS total, stddev_pop(features[3]) AS total_sd
    FROM telco_folds
)
SELECT fold, churned, ARRAY[(features[1] - tenure) / tenure_sd, (features[2] - monthly) / monthly_sd,
    (coalesce(features[3], 0) - total) / total_sd] || features[4:23] AS features
FROM telco_folds, totals;

-- What a model of the other folds says of each customer: a regression, and boosted trees.
CREATE TABLE telco_line AS
WITH models AS (
    SELECT held.fold, (ridge_logistic_fit(churned, 1, 1, features)).*
    FROM telco_standard AS seen, generate_series(0, 4) AS held(fold) WHERE seen.fold <> held.fold GROUP BY held.fold
)
SELECT churned, logistic_probability(intercept, coefficients, features) AS score FROM telco_standard JOIN models USING (fold);
CREATE TABLE telco_trees AS
WITH models AS (
    SELECT held.fold, boosting_fit(churned, features) AS model
    FROM telco_folds AS seen, generate_series(0, 4) AS held(fold) WHERE seen.fold <> held.fold GROUP BY held.fold
)
SELECT churned, boosting_probability(model, features) AS score FROM telco_folds JOIN models USING (fold);
