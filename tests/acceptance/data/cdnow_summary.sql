-- The same customers as the papers' file has them: weeks with two decimals.
CREATE TABLE cdnow_summary (id integer, x integer, t_x double precision, t double precision, zbar double precision);
\copy cdnow_summary FROM 'cdnow_summary.csv' (FORMAT csv, HEADER)
