-- Repeat purchases without a contract: the buy-till-you-die models and what customers spend.

-- A1 BG/NBD on CDNOW: r, alpha, a, b (Fader, Hardie & Lee 2005)
-- data: cdnow
SELECT r, alpha, a, b, converged, boundary FROM bgnbd;
--> 0.24259 ± 0.0005 | 4.41360 ± 0.005 | 0.79292 ± 0.003 | 2.42591 ± 0.01 | t | f

-- A2 BG/NBD: log-likelihood, with exact times and with those of two decimals
-- data: cdnow cdnow_summary
SELECT log_likelihood, log_likelihood >= -9582.4292 - 1e-3 FROM bgnbd;
--> -9582.4292 ± 0.001 | t
SELECT (bgnbd_fit(x, t_x, t)).log_likelihood FROM cdnow_summary;
--> -9582.4256 ± 0.001

-- A3 Pareto/NBD: r, alpha, s, beta
-- data: cdnow
SELECT r, alpha, s, beta, converged, boundary FROM pnbd;
--> 0.55328 ± 0.001 | 10.5777 ± 0.01 | 0.60624 ± 0.001 | 11.6687 ± 0.02 | t | f

-- A4 Pareto/NBD: log-likelihood, with exact times and with those of two decimals
-- data: cdnow cdnow_summary
SELECT log_likelihood FROM pnbd;
--> -9594.9762 ± 0.001
SELECT (pnbd_fit(x, t_x, t)).log_likelihood FROM cdnow_summary;
--> -9594.9739 ± 0.001

-- A5 Pareto/NBD: standard errors
-- data: cdnow
SELECT r_standard_error, alpha_standard_error, s_standard_error, beta_standard_error FROM pnbd;
--> 0.0476 ± 2% | 0.8427 ± 2% | 0.1873 ± 2% | 6.2105 ± 2%

-- A6 MBG/NBD: r, alpha, a, b, log-likelihood
-- data: cdnow
SELECT r, alpha, a, b, log_likelihood, converged, boundary FROM mbgnbd;
--> 0.52484 ± 0.001 | 6.18309 ± 0.005 | 0.89136 ± 0.002 | 1.61400 ± 0.005 | -9582.1357 ± 0.001 | t | f

-- A7 NBD: r, alpha, log-likelihood of the times
-- data: cdnow
SELECT r, alpha, log_likelihood, converged, boundary FROM nbd;
--> 0.385 ± 0.001 | 12.072 ± 0.01 | -9763.658 ± 0.01 | t | f

-- A8 Gamma-gamma: p, q, v, log-likelihood of the 946 who came again
-- data: cdnow
SELECT p, q, v, log_likelihood, customers, converged, boundary FROM gamma_gamma;
--> 6.2496 ± 0.01 | 3.7442 ± 0.01 | 15.4435 ± 0.05 | -4055.918 ± 0.01 | 946 | t | f
-- The purchases of the sample that cost nothing are all of them first ones, which the model does not look at.
SELECT count(*) FROM interactions WHERE source = 'cdnow' AND amount = 0;
--> 8
SELECT count(*) FROM cdnow WHERE repeats > 0 AND mean_spend = 0;
--> 0

-- A9 Gamma-gamma: expected spend
SELECT gamma_gamma_expected_value(6.25, 3.74, 15.44, repeats, mean_spend)
FROM (VALUES (1, 2, 22.35), (2, 1, 11.77), (3, 0, 0), (4, 7, 73.74)) AS c(n, repeats, mean_spend) ORDER BY n;
--> 24.66 ± 0.01
--> 18.92 ± 0.01
--> 35.22 ± 0.01
--> 71.47 ± 0.01

-- A10 BG/NBD: the first customer's purchases in 39 weeks
SELECT bgnbd_expected_purchases(0.243, 4.414, 0.793, 2.426, 2, 30.43, 38.86, 39);
--> 1.226028 ± 1e-6
-- The formula has a gap at a = 1, which is filled.
SELECT bgnbd_expected_purchases(0.243, 4.414, 0.999999, 2.426, 2, 30.43, 38.86, 39),
    bgnbd_expected_purchases(0.243, 4.414, 1.000001, 2.426, 2, 30.43, 38.86, 39);
--> 1.10213733 ± 1e-8 | 1.10213624 ± 1e-8

-- A11 BG/NBD: purchases of a new customer by week
-- data: cdnow
SELECT bgnbd_expected_purchases_of_new(r, alpha, a, b, t)
FROM bgnbd, (VALUES (1.0 / 7), (1), (3), (31.857), (32), (78)) AS weeks(t) ORDER BY t;
--> 0.007814 ± 1e-4
--> 0.053184 ± 1e-4
--> 0.150631 ± 1e-4
--> 1.040490 ± 1e-4
--> 1.043732 ± 1e-4
--> 1.857958 ± 1e-4

-- A12 Customer 1516: a year's purchases and the chance to be alive, by BG/NBD and by Pareto/NBD
-- data: cdnow
SELECT bgnbd_expected_purchases(bg.r, bg.alpha, bg.a, bg.b, 26, 30.857, 31, 52),
    pnbd_expected_purchases(pn.r, pn.alpha, pn.s, pn.beta, 26, 30.857, 31, 52),
    bgnbd_p_alive(bg.r, bg.alpha, bg.a, bg.b, 26, 30.857, 31), pnbd_p_alive(pn.r, pn.alpha, pn.s, pn.beta, 26, 30.857, 31)
FROM bgnbd AS bg, pnbd AS pn;
--> 25.757 ± 0.01 | 25.455 ± 0.01 | 0.96885 ± 1e-4 | 0.99787 ± 1e-4

-- A13 A year's purchases of a new customer, by BG/NBD and by Pareto/NBD
-- data: cdnow
SELECT bgnbd_expected_purchases_of_new(bg.r, bg.alpha, bg.a, bg.b, 52), pnbd_expected_purchases_of_new(pn.r, pn.alpha, pn.s, pn.beta, 52)
FROM bgnbd AS bg, pnbd AS pn;
--> 1.44401 ± 1e-3 | 1.47343 ± 1e-3

-- A14 The paradox of frequency: of those last seen in week 20 of 39, who bought more is expected less
-- data: cdnow
SELECT x, bgnbd_expected_purchases(bg.r, bg.alpha, bg.a, bg.b, x, 20, 39, 52),
    pnbd_expected_purchases(pn.r, pn.alpha, pn.s, pn.beta, x, 20, 39, 52)
FROM bgnbd AS bg, pnbd AS pn, (VALUES (10), (15), (20), (25)) AS repeats(x) ORDER BY x;
--> 10 | 0.34748 ± 1% | 0.70589 ± 1%
--> 15 | 0.04284 ± 1% | 0.14415 ± 1%
--> 20 | 0.004159 ± 1% | 0.02249 ± 1%
--> 25 | 0.000358 ± 1% | 0.00309 ± 1%

-- A15 BG/NBD: probability of so many purchases
SELECT bgnbd_probability_of_repeats(0.243, 4.414, 0.793, 2.426, x, t)
FROM (VALUES (1, 0, 39), (2, 10, 2), (3, 11, 30), (4, 12, 30), (5, 13, 30)) AS c(n, x, t) ORDER BY n;
--> 0.5737864 ± 1e-6
--> 1.07869e-7 ± 1e-6
--> 0.0019995 ± 1e-6
--> 0.0015170 ± 1e-6
--> 0.0011633 ± 1e-6

-- A16 Log-likelihoods that overflow if computed as printed: BG/NBD, MBG/NBD
SELECT bgnbd_log_likelihood(0.25, 4, 0.8, 2.5, x, t_x, 40), mbgnbd_log_likelihood(0.25, 4, 0.8, 2.5, x, t_x, 40)
FROM (VALUES (0, 0), (200, 38)) AS c(x, t_x) ORDER BY x;
--> -0.599474 ± 1e-4 | -0.417928 ± 1e-4
--> 100.7957 ± 1e-4 | 100.7869 ± 1e-4

-- A17 Pareto/NBD overflows nowhere: log-likelihoods and chances to be alive
SELECT x, t_x, pnbd_log_likelihood(10.465, 0.00798565, 3.0516, 2.820, x, t_x, t) BETWEEN -1e300 AND 1e300,
    pnbd_p_alive(10.465, 0.00798565, 3.0516, 2.820, x, t_x, t) BETWEEN 0 AND 1
FROM (VALUES (400, 5, 6), (500, 1, 37), (500, 4, 37)) AS c(x, t_x, t) ORDER BY x, t_x;
--> 400 | 5 | t | t
--> 500 | 1 | t | t
--> 500 | 4 | t | t
SELECT pnbd_p_alive(0.5143, 2.8845, 0.2856, 14.1087, 221, 103.43, 103.57) BETWEEN 0 AND 1;
--> t

-- A18 BG/NBD: who bought a thousand times and then no more has left
SELECT bgnbd_p_alive(0.243, 4.414, 0.793, 2.426, 1000, 10, 100);
--> 0

-- A19 Purchases in the 39 weeks after, of which there were 1,882: BG/NBD, MBG/NBD, Pareto/NBD, NBD
-- data: cdnow
SELECT sum(later), sum(bg), sum(mbg), sum(pn), sum(nbd) FROM holdout;
--> 1882 | 1653.4 ± 0.5 | 1576.7 ± 0.5 | 1665.5 ± 0.5 | 2929.8 ± 0.5

-- A20 How far that is off by customer: mean absolute error, root of the mean square, correlation
-- data: cdnow
SELECT model, avg(abs(expected - later)), sqrt(avg((expected - later) ^ 2)), corr(expected, later)
FROM (SELECT 1, 'BG', bg, later FROM holdout UNION ALL SELECT 2, 'MBG', mbg, later FROM holdout
    UNION ALL SELECT 3, 'PN', pn, later FROM holdout UNION ALL SELECT 4, 'NBD', nbd, later FROM holdout) AS t(n, model, expected, later)
GROUP BY n, model ORDER BY n;
--> BG | 0.7855 ± 0.002 | 1.6080 ± 0.002 | 0.6256 ± 0.002
--> MBG | 0.7648 ± 0.002 | 1.6072 ± 0.002 | 0.6273 ± 0.002
--> PN | 0.7545 ± 0.002 | 1.6028 ± 0.002 | 0.6302 ± 0.002
--> NBD | 1.0410 ± 0.002 | 1.8595 ± 0.002 | 0.5834 ± 0.002

-- A21 Purchases in the 39 weeks after by how often they came before (7 and more together): Pareto/NBD, and what was
-- data: cdnow
SELECT least(repeats, 7), count(*), avg(pn), avg(later) FROM holdout GROUP BY 1 ORDER BY 1;
--> 0 | 1411 | 0.138 ± 0.002 | 0.237 ± 0.002
--> 1 | 439 | 0.599 ± 0.002 | 0.697 ± 0.002
--> 2 | 214 | 1.196 ± 0.002 | 1.393 ± 0.002
--> 3 | 100 | 1.714 ± 0.002 | 1.560 ± 0.002
--> 4 | 62 | 2.398 ± 0.002 | 2.532 ± 0.002
--> 5 | 38 | 2.907 ± 0.002 | 2.947 ± 0.002
--> 6 | 29 | 3.819 ± 0.002 | 3.862 ± 0.002
--> 7 | 64 | 6.403 ± 0.002 | 6.359 ± 0.002

-- A22 Repeat purchases of all by week 78, the error in percent, and its mean over the weeks 40 to 78
-- data: cdnow
WITH days AS (
    SELECT DISTINCT customer_id, occurred_at::date - date '1996-12-31' AS day FROM interactions WHERE source = 'cdnow'
), numbered AS (
    SELECT day, row_number() OVER (PARTITION BY customer_id ORDER BY day) AS n FROM days
), births AS (
    SELECT day, count(*) AS born FROM numbered WHERE n = 1 GROUP BY day
), weeks AS (
    SELECT week, (SELECT count(*) FROM numbered WHERE n > 1 AND day <= 7 * week) AS actual FROM generate_series(40, 78) AS g(week)
), expected AS (
    SELECT week, actual,
        sum(born * bgnbd_expected_purchases_of_new(bg.r, bg.alpha, bg.a, bg.b, greatest(7 * week - day, 0) / 7.0)) AS bg,
        sum(born * pnbd_expected_purchases_of_new(pn.r, pn.alpha, pn.s, pn.beta, greatest(7 * week - day, 0) / 7.0)) AS pn
    FROM weeks, births, bgnbd AS bg, pnbd AS pn GROUP BY week, actual
)
SELECT max(actual), max(bg), 100 * (max(bg) / max(actual) - 1), 100 * avg(abs(bg / actual - 1)),
    max(pn), 100 * (max(pn) / max(actual) - 1), 100 * avg(abs(pn / actual - 1))
FROM expected;
--> 4339 | 4160.6 ± 1 | -4.1 ± 0.05 | 2.63 ± 0.05 | 4270.0 ± 1 | -1.6 ± 0.05 | 1.31 ± 0.05

-- A23 How many are alive: BG/NBD, for which who never came again is, MBG/NBD, Pareto/NBD
-- data: cdnow
SELECT sum(bgnbd_p_alive(bg.r, bg.alpha, bg.a, bg.b, repeats, recency, age)),
    sum(mbgnbd_p_alive(mbg.r, mbg.alpha, mbg.a, mbg.b, repeats, recency, age)),
    sum(pnbd_p_alive(pn.r, pn.alpha, pn.s, pn.beta, repeats, recency, age))
FROM cdnow, bgnbd AS bg, mbgnbd AS mbg, pnbd AS pn;
--> 1917.28 ± 0.1 | 1057.64 ± 0.1 | 1051.88 ± 0.1

-- A24 Discounted purchases to come for ever, Pareto/NBD
SELECT pnbd_discounted_residual(0.5629966, 12.5590370, 0.4081095, 10.5148048, 7, 35, 77.86, 0.0027);
--> 1.864183328 ± 1e-4
SELECT pnbd_discounted_residual(0.5629966, 12.5590370, 0.4081095, 10.5148048, x, 30, 77.86, 0.0027)
FROM generate_series(1, 10) AS g(x) ORDER BY x;
--> 2.19916 ± 1e-4
--> 2.84353 ± 1e-4
--> 2.86713 ± 1e-4
--> 2.44541 ± 1e-4
--> 1.84050 ± 1e-4
--> 1.26242 ± 1e-4
--> 0.80962 ± 1e-4
--> 0.49480 ± 1e-4
--> 0.29202 ± 1e-4
--> 0.16793 ± 1e-4

-- A25 What CDNOW's customers are worth, at 15 % a year: purchases to come, their value, and that of one customer
-- data: cdnow
WITH residual AS (
    SELECT pnbd_discounted_residual(pn.r, pn.alpha, pn.s, pn.beta, repeats, recency, age, 0.0027) AS purchases,
        gamma_gamma_expected_value(g.p, g.q, g.v, repeats, mean_spend) AS spend
    FROM cdnow, pnbd AS pn, gamma_gamma AS g
)
SELECT sum(purchases), sum(purchases * spend), avg(purchases * spend) FROM residual;
--> 7185.97 ± 0.1% | 260821 ± 0.1% | 110.66 ± 0.1%

-- A26 BG/BB on 11,104 donors: alpha, beta, gamma, delta, log-likelihood
-- data: donations
SELECT alpha, beta, gamma, delta, log_likelihood, customers, converged, boundary FROM bgbb;
--> 1.2035 ± 0.003 | 0.7497 ± 0.003 | 0.6567 ± 0.001 | 2.7834 ± 0.005 | -33225.58 ± 0.01 | 11104 | t | f

-- A27 BG/BB: chances to be alive, donations in five years, and how many gave never again and every year
-- data: donations
SELECT bgbb_p_alive(alpha, beta, gamma, delta, 0, 0, 6), bgbb_p_alive(alpha, beta, gamma, delta, 2, 4, 6),
    bgbb_p_alive(alpha, beta, gamma, delta, 6, 6, 6)
FROM bgbb;
--> 0.11 ± 0.005 | 0.59 ± 0.005 | 0.93 ± 0.005
SELECT sum(people * bgbb_expected_purchases(alpha, beta, gamma, delta, repeats, recency, occasions, 5)) FROM donations, bgbb;
--> 12884.2 ± 1
SELECT customers * bgbb_probability_of_repeats(alpha, beta, gamma, delta, 0, 6),
    customers * bgbb_probability_of_repeats(alpha, beta, gamma, delta, 6, 6)
FROM bgbb;
--> 3454.9 ± 1 | 1253.1 ± 1

-- A28 Equal customers with their number are as good as rows
-- data: cdnow
WITH histories AS (
    SELECT repeats, recency, age, count(*) AS customers FROM cdnow GROUP BY repeats, recency, age
), grouped AS (
    SELECT (bgnbd_fit(repeats, recency, age, customers)).* FROM histories
)
SELECT grouped.r / single.r, grouped.alpha / single.alpha, grouped.a / single.a, grouped.b / single.b,
    grouped.log_likelihood / single.log_likelihood, grouped.customers
FROM grouped, bgnbd AS single;
--> 1 ± 1e-6 | 1 ± 1e-6 | 1 ± 1e-6 | 1 ± 1e-6 | 1 ± 1e-6 | 2357

-- A29 Days in place of weeks: alpha is seven times as large, nothing else changes
-- data: cdnow
CREATE TEMPORARY TABLE in_days AS SELECT (bgnbd_fit(repeats, 7 * recency, 7 * age)).* FROM cdnow;
SELECT days.r / weeks.r, days.alpha / weeks.alpha, days.a / weeks.a, days.b / weeks.b FROM in_days AS days, bgnbd AS weeks;
--> 1 ± 1e-4 | 7 ± 7e-4 | 1 ± 1e-4 | 1 ± 1e-4
SELECT max(abs(bgnbd_p_alive(days.r, days.alpha, days.a, days.b, repeats, 7 * recency, 7 * age)
    - bgnbd_p_alive(weeks.r, weeks.alpha, weeks.a, weeks.b, repeats, recency, age)))
FROM cdnow, in_days AS days, bgnbd AS weeks;
--> <= 1e-4

-- A30 The parameters of a million simulated customers are found again
-- data: simulated
SELECT r, alpha, a, b, customers, converged, boundary
FROM (SELECT (bgnbd_fit(repeats, recency, 39)).* FROM simulated) AS fit;
--> 0.243 ± 1% | 4.414 ± 1% | 0.793 ± 6% | 2.426 ± 6% | 1000000 | t | f

-- A31 Online Retail, where the data hold no sign that anybody stops: the fits say so, are no better than NBD, and NBD foretells
-- data: online_retail
SELECT count(*), sum(repeats), count(*) FILTER (WHERE age = 0), sum(later) FROM shoppers;
--> 3317 | 7050 | 5 | 4806
SELECT bg.boundary, bg.converged, bg.r, bg.alpha, bg.log_likelihood FROM (SELECT (bgnbd_fit(repeats, recency, age)).* FROM shoppers) AS bg;
--> t | t | 0.7226 ± 0.0001 | 9.424 ± 0.001 | -21755.348 ± 0.01
SELECT pn.boundary, pn.converged, pn.log_likelihood FROM (SELECT (pnbd_fit(repeats, recency, age)).* FROM shoppers) AS pn;
--> t | t | -21755.348 ± 0.01
CREATE TEMPORARY TABLE fallback AS SELECT (nbd_fit(repeats, recency, age)).* FROM shoppers;
SELECT log_likelihood, converged, boundary FROM fallback;
--> -21755.34802 ± 0.01 | t | f
-- That the value of purchases does not depend on their number, as gamma-gamma has it, nearly holds.
SELECT gamma_gamma_correlation(repeats, mean_spend) FROM shoppers WHERE repeats > 0;
--> 0.101 ± 0.0005
-- NBD's errors, and those of who takes everybody's own rate.
SELECT avg(abs(nbd - later)), sqrt(avg((nbd - later) ^ 2)), avg(abs(own - later))
FROM (
    SELECT later, nbd_expected_purchases(r, alpha, repeats, recency, age, 100 / 7.0) AS nbd,
        CASE WHEN age > 0 THEN repeats / age * 100 / 7 ELSE 0 END AS own
    FROM shoppers, fallback
) AS foretold;
--> 0.9970 ± 0.0001 | 1.6255 ± 0.0001 | 0.9667 ± 0.0001
