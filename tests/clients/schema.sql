-- What every check finds besides the history: the same on Rapport and on PostgreSQL. Checks read it, and write elsewhere.

CREATE TABLE regions (
    id integer PRIMARY KEY,
    name text NOT NULL UNIQUE
);
COMMENT ON TABLE regions IS 'Where shops are';

CREATE TABLE shops (
    id integer PRIMARY KEY,
    region_id integer NOT NULL REFERENCES regions (id),
    name varchar(40) NOT NULL,
    opened date,
    area numeric(8,2) DEFAULT 100.00,
    is_open boolean DEFAULT true
);
COMMENT ON TABLE shops IS 'Every shop, also closed ones';
COMMENT ON COLUMN shops.area IS 'In square metres';

CREATE TABLE sales (
    id bigint PRIMARY KEY,
    shop_id integer NOT NULL REFERENCES shops (id),
    sold_at timestamp with time zone NOT NULL,
    amount numeric(12,2),
    quantity integer,
    note text
);

CREATE TABLE shop_days (
    shop_id integer NOT NULL REFERENCES shops (id),
    day date NOT NULL,
    visitors bigint,
    PRIMARY KEY (shop_id, day)
);

CREATE TABLE every_type (
    id integer PRIMARY KEY,
    a_boolean boolean,
    a_smallint smallint,
    an_integer integer,
    a_bigint bigint,
    a_real real,
    a_double double precision,
    a_numeric numeric(18,4),
    a_text text,
    a_varchar varchar(20),
    a_char char(5),
    a_bytea bytea,
    a_date date,
    a_time time,
    a_timestamp timestamp,
    a_timestamptz timestamptz,
    an_interval interval,
    a_uuid uuid,
    a_json json,
    a_jsonb jsonb,
    an_integer_array integer[],
    a_text_array text[]
);

CREATE TABLE "Odd Näme" (
    "with space" integer,
    "with.dot" text,
    "Quote""d" text,
    "#hash" text,
    "select" text
);

CREATE SCHEMA staging;

CREATE TABLE staging.arrivals (
    id integer,
    payload text
);

CREATE VIEW shop_totals AS
SELECT s.id AS shop_id, s.name, count(x.id) AS n, sum(x.amount) AS total
FROM shops s LEFT JOIN sales x ON x.shop_id = s.id
GROUP BY s.id, s.name;
COMMENT ON VIEW shop_totals IS 'What each shop sold';

INSERT INTO regions VALUES (1, 'North'), (2, 'South'), (3, 'Łódź');

INSERT INTO shops VALUES
    (1, 1, 'Harbour', '2019-05-01', 120.50, true),
    (2, 1, 'Market', '2020-02-29', 80.00, true),
    (3, 2, 'Station', '2021-11-15', 45.25, true),
    (4, 2, 'Old Town', NULL, NULL, false),
    (5, 3, 'Piotrkowska', '2023-01-01', 300.00, true);

INSERT INTO sales
SELECT n, n % 5 + 1, TIMESTAMPTZ '2024-01-01 00:00:00+00' + CAST(n * 6 || ' hours' AS interval), CAST(n * 1.25 AS numeric(12,2)),
       CAST(n % 7 AS integer), CASE WHEN n % 10 = 0 THEN NULL ELSE 'sale ' || n END
FROM generate_series(1, 1000) AS g(n);

INSERT INTO shop_days
SELECT s, DATE '2024-03-01' + CAST(d AS integer), s * 100 + d
FROM generate_series(1, 3) AS a(s), generate_series(0, 9) AS b(d);

INSERT INTO every_type VALUES
    (1, true, 32767, 2147483647, 9223372036854775807, 1.5, 0.1, 12345678901234.5678, 'Grüße, Иван, 漢字 🙂', 'short', 'abc',
     '\x00ff10', '2024-02-29', '23:59:59.999999', '2024-02-29 12:34:56.789012', '2024-02-29 12:34:56.789012+00',
     '1 year 2 mons 3 days 04:05:06', '00112233-4455-6677-8899-aabbccddeeff', '{"a": [1, null]}', '{"b": {"c": 2}}',
     '{1,NULL,-3}', '{a,NULL,"with, comma"}'),
    (2, false, -32768, -2147483648, -9223372036854775808, -0.25, '-1e-300', -0.0001, '', '', '', '\x', '1900-01-01',
     '00:00:00', '1900-01-01 00:00:00', '1969-12-31 23:59:59+00', '-00:00:01', '00000000-0000-0000-0000-000000000000',
     '[]', '{}', '{}', '{}'),
    (3, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL,
     NULL, NULL);

INSERT INTO "Odd Näme" VALUES (1, 'dot', 'quote', 'hash', 'word');

INSERT INTO staging.arrivals VALUES (1, 'one'), (2, 'two');
