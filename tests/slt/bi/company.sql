-- The tables that the files of slt/bi ask: a small company, made by arithmetic, so that it is the same everywhere.
-- Floats are multiples of 1/8, whose sums do not depend on the order of the rows.

CREATE TABLE people (
    customer_id integer, customer_uuid uuid, name varchar(60), country char(2), city text, segment text, email text,
    phone varchar(20), birth_date date, signup_date date, signed_up_at timestamptz, is_active boolean,
    credit_limit numeric(18,2), loyalty_points bigint, tier smallint, latitude double precision, discount real,
    preferences jsonb
);

INSERT INTO people
SELECT n,
    CAST('00000000-0000-4000-8000-' || lpad(CAST(n AS text), 12, '0') AS uuid),
    CASE n % 9 WHEN 0 THEN 'Zoë' WHEN 1 THEN 'Łukasz' WHEN 2 THEN 'O''Brien' WHEN 3 THEN 'Мария' WHEN 4 THEN 'müller'
        WHEN 5 THEN 'Ann "Annie"' WHEN 6 THEN '张伟' WHEN 7 THEN 'de la Cruz' ELSE 'SMITH' END
        || ' ' || CAST(n / 9 AS text),
    CASE n % 6 WHEN 0 THEN 'PL' WHEN 1 THEN 'DE' WHEN 2 THEN 'US' WHEN 3 THEN 'FR' WHEN 4 THEN 'JP' ELSE 'GB' END,
    CASE n % 8 WHEN 0 THEN 'Kraków' WHEN 1 THEN 'München' WHEN 2 THEN 'New York' WHEN 3 THEN 'Paris' WHEN 4 THEN '東京'
        WHEN 5 THEN 'London' WHEN 6 THEN 'São Paulo' ELSE 'paris' END,
    CASE WHEN n % 11 = 0 THEN NULL WHEN n % 4 = 0 THEN 'Consumer' WHEN n % 4 = 1 THEN 'Corporate' WHEN n % 4 = 2 THEN 'Home Office'
        ELSE 'Small % Business' END,
    CASE WHEN n % 7 = 0 THEN NULL WHEN n % 13 = 0 THEN '' ELSE 'user' || CAST(n AS text) || CASE WHEN n % 2 = 0 THEN '@Example.com' ELSE '@mail.example.org' END END,
    CASE WHEN n % 5 = 0 THEN NULL ELSE '+48 ' || CAST(500000000 + n * 7919 AS text) END,
    CASE WHEN n % 17 = 0 THEN NULL ELSE DATE '1950-02-28' + (n * 41) % 20000 END,
    DATE '2021-12-25' + (n * 13) % 900,
    CAST('2021-12-25 06:30:00+00' AS timestamptz) + CAST(CAST((n * 13) % 900 * 86400 + n * 97 AS text) || ' seconds' AS interval),
    CASE WHEN n % 19 = 0 THEN NULL ELSE n % 3 <> 0 END,
    CASE WHEN n % 10 = 0 THEN NULL ELSE CAST((n * 7919) % 1000000 * 0.01 - 500 AS numeric(18,2)) END,
    CAST(n AS bigint) * 1000003 % 50000,
    n % 5,
    (n * 31) % 1440 * 0.125 - 90,
    (n % 8) * 0.125,
    CAST('{"language": "' || CASE n % 3 WHEN 0 THEN 'pl' WHEN 1 THEN 'en' ELSE 'ru' END || '", "newsletter": '
        || CASE WHEN n % 2 = 0 THEN 'true' ELSE 'false' END || ', "score": ' || CAST(n % 100 AS text) || '}' AS jsonb)
FROM generate_series(1, 600) AS g(n);

CREATE TABLE staff (
    agent_id smallint, agent_name text, team text, manager_id smallint, level smallint, hourly_cost numeric(18,2),
    hired date, shift_start time, shift_end time, is_remote boolean
);

INSERT INTO staff
SELECT n,
    CASE n % 6 WHEN 0 THEN 'Agnès' WHEN 1 THEN 'bob' WHEN 2 THEN 'Chloe' WHEN 3 THEN 'Dmitri' WHEN 4 THEN 'Émile' ELSE 'Fay' END
        || ' ' || CAST(n AS text),
    CASE n % 4 WHEN 0 THEN 'North' WHEN 1 THEN 'South' WHEN 2 THEN 'east' ELSE NULL END,
    CASE WHEN n <= 3 THEN NULL ELSE 1 + n % 3 END,
    1 + n % 3,
    CAST(18 + (n * 37) % 50 * 0.5 AS numeric(18,2)),
    DATE '2015-03-29' + n * 97,
    CAST(lpad(CAST(6 + n % 8 AS text), 2, '0') || ':30:00' AS time),
    CAST(lpad(CAST(14 + n % 8 AS text), 2, '0') || ':15:00' AS time),
    CASE WHEN n % 7 = 0 THEN NULL ELSE n % 2 = 0 END
FROM generate_series(1, 24) AS g(n);

CREATE TABLE goods (
    product_id integer, sku varchar(12), product_name text, category text, subcategory varchar(30), unit_price numeric(18,2),
    cost numeric(12,3), weight double precision, discontinued boolean, launched date, warranty interval
);

INSERT INTO goods
SELECT n,
    'SKU-' || lpad(CAST(n * 37 % 1000 AS text), 4, '0') || CASE WHEN n % 2 = 0 THEN 'A' ELSE 'b' END,
    CASE n % 5 WHEN 0 THEN 'Chair, "Comfort"' WHEN 1 THEN 'Crème brûlée torch' WHEN 2 THEN '50% off_bundle' WHEN 3 THEN 'Phone\case' ELSE 'Bookcase' END
        || ' ' || CAST(n AS text),
    CASE n % 3 WHEN 0 THEN 'Furniture' WHEN 1 THEN 'Technology' ELSE 'Office Supplies' END,
    CASE WHEN n % 9 = 0 THEN NULL WHEN n % 6 < 2 THEN 'Chairs' WHEN n % 6 < 4 THEN 'Phones' ELSE 'Paper' END,
    CAST((n * 733) % 20000 * 0.01 + 0.99 AS numeric(18,2)),
    CASE WHEN n % 8 = 0 THEN NULL ELSE n * 1.125 END,
    n % 32 * 0.25,
    n % 6 = 0,
    CASE WHEN n % 10 = 0 THEN NULL ELSE DATE '2020-02-29' + n * 29 END,
    CASE WHEN n % 4 = 0 THEN INTERVAL '2 years' WHEN n % 4 = 1 THEN INTERVAL '18 mons 15 days' WHEN n % 4 = 2 THEN INTERVAL '90 days' ELSE NULL END
FROM generate_series(1, 40) AS g(n);

CREATE TABLE orders (
    order_id bigint, customer_id integer, agent_id smallint, ordered_at timestamp, order_date date, ship_date date, status text,
    channel text, amount numeric(18,2), tax numeric(18,4), currency char(3), items smallint, note text
);

INSERT INTO orders
SELECT 5000000000 + n,
    CASE WHEN n % 29 = 0 THEN NULL WHEN n % 31 = 0 THEN 900 + n ELSE 1 + (n * 173) % 500 END,
    CASE WHEN n % 6 = 0 THEN NULL ELSE 1 + n % 24 END,
    at,
    CAST(at AS date) AS on_day,
    CASE WHEN n % 8 = 0 THEN NULL ELSE CAST(at AS date) + CAST(n % 11 AS integer) END,
    CASE WHEN n % 12 = 0 THEN 'cancelled' WHEN n % 7 = 0 THEN 'returned' WHEN n % 10 = 0 THEN NULL ELSE 'complete' END,
    CASE n % 5 WHEN 0 THEN 'web' WHEN 1 THEN 'store' WHEN 2 THEN 'app' WHEN 3 THEN 'phone' ELSE 'Web' END,
    CASE WHEN n % 23 = 0 THEN NULL WHEN n % 7 = 0 THEN CAST(-((n * 1237) % 90000) * 0.01 AS numeric(18,2)) ELSE CAST((n * 7877) % 150000 * 0.01 AS numeric(18,2)) END,
    CASE WHEN n % 23 = 0 THEN NULL ELSE CAST((n * 733) % 20000 * 0.0001 AS numeric(18,4)) END,
    CASE n % 4 WHEN 0 THEN 'PLN' WHEN 1 THEN 'EUR' WHEN 2 THEN 'USD' ELSE 'EUR' END,
    1 + n % 6,
    CASE n % 9 WHEN 0 THEN 'leave at the door' WHEN 1 THEN '' WHEN 2 THEN 'it''s a gift' WHEN 3 THEN NULL WHEN 4 THEN '  spaces  inside '
        WHEN 5 THEN 'Straße 12, 3. Stock' WHEN 6 THEN 'call +49-30-1234' WHEN 7 THEN '100% "urgent"' ELSE NULL END
FROM (SELECT n, TIMESTAMP '2022-01-01 00:15:00' + CAST(CAST(n * 105187.25 AS text) || ' seconds' AS interval) AS at
    FROM generate_series(1, 900) AS g(n)) AS o;

CREATE TABLE order_lines (
    order_id bigint, line_no smallint, product_id integer, quantity integer, unit_price numeric(18,2), discount double precision,
    returned boolean
);

INSERT INTO order_lines
SELECT 5000000000 + 1 + n % 850,
    1 + n / 850,
    1 + (n * 17) % 40,
    CASE WHEN n % 37 = 0 THEN -1 ELSE 1 + n % 9 END,
    CAST((n * 431) % 30000 * 0.01 + 1 AS numeric(18,2)),
    CASE WHEN n % 14 = 0 THEN NULL ELSE n % 4 * 0.125 END,
    CASE WHEN n % 41 = 0 THEN NULL ELSE n % 20 = 0 END
FROM generate_series(0, 1899) AS g(n);

CREATE TABLE contacts (
    contact_id bigint, customer_id integer, agent_id smallint, channel text, contact_type varchar(20), direction char(3),
    started_at timestamptz, ended_at timestamptz, wait_seconds integer, handle_time interval, resolved boolean, topic text,
    sentiment double precision, campaign text, case_no text, properties jsonb
);

INSERT INTO contacts
SELECT n,
    CASE WHEN n % 21 = 0 THEN NULL ELSE 1 + (n * 89) % 300 END,
    CASE WHEN n % 4 = 3 THEN NULL ELSE 1 + (n * 5) % 24 END,
    CASE n % 7 WHEN 0 THEN 'call' WHEN 1 THEN 'chat' WHEN 2 THEN 'email' WHEN 3 THEN 'bot' WHEN 4 THEN 'social' WHEN 5 THEN 'call' ELSE 'store visit' END,
    CASE n % 5 WHEN 0 THEN 'question' WHEN 1 THEN 'complaint' WHEN 2 THEN 'purchase' WHEN 3 THEN 'visit' ELSE 'refusal' END,
    CASE WHEN n % 6 = 0 THEN 'out' ELSE 'in' END,
    at,
    CASE WHEN n % 9 = 0 THEN NULL ELSE at + talk END,
    CASE WHEN n % 7 = 3 THEN NULL ELSE (n * 37) % 900 END,
    CASE WHEN n % 9 = 0 THEN NULL ELSE talk END,
    CASE WHEN n % 13 = 0 THEN NULL ELSE n % 3 <> 1 END,
    CASE n % 8 WHEN 0 THEN 'billing' WHEN 1 THEN 'Billing' WHEN 2 THEN 'delivery delay' WHEN 3 THEN 'returns & refunds' WHEN 4 THEN 'доставка'
        WHEN 5 THEN 'płatność' WHEN 6 THEN NULL ELSE 'app_crash' END,
    CASE WHEN n % 6 = 5 THEN NULL ELSE (n * 11) % 17 * 0.125 - 1 END,
    CASE WHEN n % 5 = 0 THEN 'spring_2022' WHEN n % 5 = 1 THEN 'Black Friday' WHEN n % 5 = 2 THEN 'win-back' ELSE NULL END,
    'C-' || lpad(CAST(n / 3 AS text), 5, '0'),
    CAST('{"device": "' || CASE n % 3 WHEN 0 THEN 'mobile' WHEN 1 THEN 'desktop' ELSE 'tablet' END || '", "pages": ' || CAST(n % 12 AS text)
        || ', "geo": {"city": "Łódź", "lat": ' || CAST(50 + n % 10 AS text) || '.5}, "tags": ["a", "b' || CAST(n % 4 AS text) || '"], "vip": '
        || CASE WHEN n % 10 = 0 THEN 'null' WHEN n % 2 = 0 THEN 'true' ELSE 'false' END || '}' AS jsonb)
FROM (SELECT n, CAST('2022-01-01 00:00:00+00' AS timestamptz) + CAST(CAST(n * 58991.5 AS text) || ' seconds' AS interval) AS at,
    CAST(CAST((n * 53) % 3600 AS text) || ' seconds' AS interval) AS talk
    FROM generate_series(1, 1600) AS g(n)) AS c;

CREATE TABLE surveys (
    survey_id integer, contact_id bigint, customer_id integer, answered_at timestamp, nps smallint, csat smallint, ces real, comment text
);

INSERT INTO surveys
SELECT n, n * 3,
    1 + (n * 3 * 89) % 300,
    TIMESTAMP '2022-01-01 12:00:00' + CAST(CAST(n * 177000 AS text) || ' seconds' AS interval),
    CASE WHEN n % 15 = 0 THEN NULL ELSE (n * 7) % 11 END,
    CASE WHEN n % 12 = 0 THEN NULL ELSE 1 + (n * 3) % 5 END,
    CASE WHEN n % 10 = 0 THEN NULL ELSE 1 + n % 25 * 0.25 END,
    CASE n % 7 WHEN 0 THEN 'Great service!' WHEN 1 THEN 'too slow, waited 25 minutes' WHEN 2 THEN NULL WHEN 3 THEN '' WHEN 4 THEN 'Очень хорошо'
        WHEN 5 THEN 'Agent was rude :(' ELSE 'ok' END
FROM generate_series(1, 500) AS g(n);

CREATE TABLE calendar (
    day date, year integer, quarter smallint, month smallint, month_name text, week smallint, weekday smallint, is_weekend boolean,
    is_holiday boolean, fiscal_year text
);

INSERT INTO calendar
SELECT DATE '2022-01-01' + n,
    CAST(extract(year FROM DATE '2022-01-01' + n) AS integer),
    CAST(extract(quarter FROM DATE '2022-01-01' + n) AS smallint),
    CAST(extract(month FROM DATE '2022-01-01' + n) AS smallint),
    CASE CAST(extract(month FROM DATE '2022-01-01' + n) AS integer) WHEN 1 THEN 'January' WHEN 2 THEN 'February' WHEN 3 THEN 'March' WHEN 4 THEN 'April'
        WHEN 5 THEN 'May' WHEN 6 THEN 'June' WHEN 7 THEN 'July' WHEN 8 THEN 'August' WHEN 9 THEN 'September' WHEN 10 THEN 'October'
        WHEN 11 THEN 'November' ELSE 'December' END,
    CAST(extract(week FROM DATE '2022-01-01' + n) AS smallint),
    (n + 6) % 7,
    (n + 6) % 7 IN (0, 6),
    CASE WHEN n % 50 = 0 THEN true WHEN n % 51 = 0 THEN NULL ELSE false END,
    'FY' || CAST(CAST(extract(year FROM DATE '2022-01-01' + n) AS integer) + CASE WHEN extract(month FROM DATE '2022-01-01' + n) >= 10 THEN 1 ELSE 0 END AS text)
FROM generate_series(0, 1095) AS g(n);
