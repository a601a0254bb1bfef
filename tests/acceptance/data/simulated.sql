-- A million customers who behave as BG/NBD says with r = 0.243, alpha = 4.414, a = 0.793, b = 2.426, after 39 weeks (simulated.rs).
CREATE TABLE simulated (repeats integer, recency double precision);
\copy simulated FROM 'simulated.csv' (FORMAT csv)
