-- The donors of an arts organisation, who could give in each of six years.
CREATE TABLE donations (repeats integer, recency integer, occasions integer, people integer);
\copy donations FROM 'donations.csv' (FORMAT csv, HEADER)
CREATE TABLE bgbb AS SELECT (bgbb_fit(repeats, recency, occasions, people)).* FROM donations;
