-- FEBRL's made-up people with typing errors: 1,000 records of 500 in one file, and 5,000 in each of two files. The number in
-- rec_id tells who they are.
CREATE TABLE febrl1 (rec_id text, given_name text, surname text, street_number text, address_1 text, address_2 text, suburb text,
    postcode text, state text, date_of_birth text, soc_sec_id text);
CREATE TABLE febrl4a (rec_id text, given_name text, surname text, street_number text, address_1 text, address_2 text, suburb text,
    postcode text, state text, date_of_birth text, soc_sec_id text);
CREATE TABLE febrl4b (rec_id text, given_name text, surname text, street_number text, address_1 text, address_2 text, suburb text,
    postcode text, state text, date_of_birth text, soc_sec_id text);
\copy febrl1 FROM 'febrl1.csv' (FORMAT csv, HEADER)
\copy febrl4a FROM 'febrl4a.csv' (FORMAT csv, HEADER)
\copy febrl4b FROM 'febrl4b.csv' (FORMAT csv, HEADER)
CREATE TABLE people AS
SELECT file, trim(rec_id) AS id, split_part(rec_id, '-', 2) AS person, nullif(trim(given_name), '') AS given_name,
    nullif(trim(surname), '') AS surname, nullif(trim(address_1), '') AS address, nullif(trim(suburb), '') AS suburb,
    nullif(trim(postcode), '') AS postcode, nullif(trim(date_of_birth), '') AS born
FROM (SELECT 'febrl1' AS file, * FROM febrl1 UNION ALL SELECT 'febrl4', * FROM febrl4a UNION ALL SELECT 'febrl4', * FROM febrl4b) AS files;
