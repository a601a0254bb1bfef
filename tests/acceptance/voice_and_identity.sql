-- What customers say, and who is who.

-- 2.9 NPS and its error of ten answers; satisfaction and channels of a contact centre; who is who in FEBRL
-- data: support_tickets febrl
SELECT nps(score), (nps_error(score) / 100) ^ 2 * count(*) FROM (VALUES (9), (10), (10), (8), (7), (6), (3), (9), (10), (0)) AS answers(score);
--> 20 | 0.76 ± 1e-9
SELECT (SELECT count(*) FROM tickets), count(score), avg(score), csat(score) FROM ratings;
--> 5000 | 3724 | 2.96912 ± 5e-6 | 0.390440 ± 5e-7
SELECT channel, count(*) FROM tickets GROUP BY channel ORDER BY count(*) DESC;
--> Chat | 1796
--> Email | 1554
--> Phone | 926
--> Social Media | 501
--> Self-Service | 223
-- Pairs between FEBRL 4's files with the same given name.
SELECT count(*) FROM febrl4a AS a JOIN febrl4b AS b ON trim(a.given_name) = trim(b.given_name) WHERE trim(a.given_name) <> '';
--> 77249
-- Two records that share a name, a postcode or a birthday are one person if what they say is alike; and so are two that are
-- one with a third. How many of the pairs found are right, and how many of the right ones are found.
CREATE TEMPORARY TABLE keys AS
SELECT file, id, 'given name' AS kind, given_name AS key FROM people UNION ALL SELECT file, id, 'surname', surname FROM people
UNION ALL SELECT file, id, 'postcode', postcode FROM people UNION ALL SELECT file, id, 'birthday', born FROM people;
CREATE TEMPORARY TABLE alike AS
WITH candidates AS (
    SELECT DISTINCT file, a.id AS a, b.id AS b FROM keys AS a JOIN keys AS b USING (file, kind, key) WHERE a.id < b.id
)
SELECT file, c.a, c.b
FROM candidates AS c JOIN people AS a USING (file) JOIN people AS b USING (file)
WHERE a.id = c.a AND b.id = c.b AND array_avg(ARRAY[jaro_winkler(a.given_name, b.given_name), jaro_winkler(a.surname, b.surname),
    jaro_winkler(a.address, b.address), jaro_winkler(a.suburb, b.suburb), jaro_winkler(a.postcode, b.postcode),
    jaro_winkler(a.born, b.born)]) >= 0.82;
CREATE TEMPORARY TABLE both_ways AS SELECT file, a, b FROM alike UNION ALL SELECT file, b, a FROM alike;
CREATE TEMPORARY TABLE found AS
WITH RECURSIVE reached(file, a, b) AS (
    SELECT file, a, b FROM both_ways
    UNION
    SELECT reached.file, reached.a, next.b FROM reached JOIN both_ways AS next ON next.file = reached.file AND next.a = reached.b
)
SELECT file, count(*) AS pairs, count(*) FILTER (WHERE split_part(a, '-', 2) = split_part(b, '-', 2)) AS right_pairs
FROM reached WHERE a < b GROUP BY file;
CREATE TEMPORARY TABLE truth AS
SELECT file, sum(n * (n - 1) / 2) AS pairs FROM (SELECT file, count(*) AS n FROM people GROUP BY file, person) AS records GROUP BY file;
SELECT file, truth.pairs, found.right_pairs / found.pairs::double precision, found.right_pairs / truth.pairs::double precision
FROM found JOIN truth USING (file) ORDER BY file;
--> febrl1 | 500 | >= 0.98 | >= 0.90
--> febrl4 | 5000 | >= 0.98 | >= 0.90
