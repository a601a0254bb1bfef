-- IBM's Telco customers. A total that is blank is missing.
CREATE TABLE telco_file (customer_id text, gender text, senior integer, partner text, dependents text, tenure integer,
    phone_service text, multiple_lines text, internet_service text, online_security text, online_backup text,
    device_protection text, tech_support text, streaming_tv text, streaming_movies text, contract text,
    paperless_billing text, payment_method text, monthly_charges double precision, total_charges text, churn text);
\copy telco_file FROM 'telco_churn.csv' (FORMAT csv, HEADER)
CREATE TABLE telco AS
SELECT customer_id, tenure, contract, churn = 'Yes' AS churned, monthly_charges AS monthly,
    nullif(trim(total_charges), '')::double precision AS total,
    (contract = 'One year')::integer AS one_year, (contract = 'Two year')::integer AS two_year,
    (internet_service = 'Fiber optic')::integer AS fiber, (internet_service = 'No')::integer AS no_internet,
    (payment_method = 'Electronic check')::integer AS echeck, (paperless_billing = 'Yes')::integer AS paperless, senior
FROM telco_file;

-- The model of nine features, and what it says of each customer.
CREATE TABLE telco_logit AS
SELECT (logistic_fit(churned, tenure, monthly, one_year, two_year, fiber, no_internet, echeck, paperless, senior)).* FROM telco;
CREATE TABLE telco_scores AS
SELECT churned, logistic_probability(intercept, coefficients,
    ARRAY[tenure, monthly, one_year, two_year, fiber, no_internet, echeck, paperless, senior]) AS score
FROM telco, telco_logit;
