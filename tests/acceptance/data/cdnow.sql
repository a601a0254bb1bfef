-- CDNOW's customers as of 1997-09-30: times in weeks, and on how many of the 39 weeks' days after it they bought again.
\! rapport load cdnow cdnow_elog.csv
CREATE TABLE cdnow AS
SELECT customer_id, repeats, recency / 7 AS recency, age / 7 AS age, mean_spend, later
FROM (
    SELECT customer_id, (rfm_summary(occurred_at, amount, date '1997-09-30')).*,
        count(DISTINCT occurred_at) FILTER (WHERE occurred_at > '1997-09-30') AS later
    FROM interactions WHERE source = 'cdnow' GROUP BY customer_id
) AS histories;

CREATE TABLE bgnbd AS SELECT (bgnbd_fit(repeats, recency, age)).* FROM cdnow;
CREATE TABLE mbgnbd AS SELECT (mbgnbd_fit(repeats, recency, age)).* FROM cdnow;
CREATE TABLE pnbd AS SELECT (pnbd_fit(repeats, recency, age)).* FROM cdnow;
CREATE TABLE nbd AS SELECT (nbd_fit(repeats, recency, age)).* FROM cdnow;
CREATE TABLE gamma_gamma AS SELECT (gamma_gamma_fit(repeats, mean_spend)).* FROM cdnow;

-- What each model expects of the 39 weeks after.
CREATE TABLE holdout AS
SELECT repeats, later,
    bgnbd_expected_purchases(bg.r, bg.alpha, bg.a, bg.b, repeats, recency, age, 39) AS bg,
    mbgnbd_expected_purchases(mbg.r, mbg.alpha, mbg.a, mbg.b, repeats, recency, age, 39) AS mbg,
    pnbd_expected_purchases(pn.r, pn.alpha, pn.s, pn.beta, repeats, recency, age, 39) AS pn,
    nbd_expected_purchases(nbd.r, nbd.alpha, repeats, recency, age, 39) AS nbd
FROM cdnow, bgnbd AS bg, mbgnbd AS mbg, pnbd AS pn, nbd;
