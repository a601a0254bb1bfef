-- Contracts: how long customers stay, and what makes them leave.

-- B1 Shifted beta-geometric on "high end": alpha, beta, log-likelihood (Fader & Hardie 2007)
-- data: contracts
SELECT alpha, beta, log_likelihood, customers
FROM (SELECT (sbg_fit(tenure, has_left, customers)).* FROM contracts WHERE segment = 'high end') AS fit;
--> 0.668 ± 0.001 | 3.806 ± 0.005 | -1611.158 ± 0.01 | 1000

-- B2 Shifted beta-geometric on "regular"
-- data: contracts
SELECT alpha, beta, log_likelihood, customers
FROM (SELECT (sbg_fit(tenure, has_left, customers)).* FROM contracts WHERE segment = 'regular') AS fit;
--> 0.704 ± 0.001 | 1.182 ± 0.005 | -1680.265 ± 0.01 | 1000

-- B3 Shifted beta-geometric on the first four renewals of "regular", and who is foretold to be left in the years 5 to 12
-- data: contracts
CREATE TEMPORARY TABLE early AS
SELECT (sbg_fit(least(tenure, 4), has_left AND tenure <= 4, customers)).* FROM contracts WHERE segment = 'regular';
SELECT alpha, beta, log_likelihood FROM early;
--> 0.7637 ± 0.001 | 1.2958 ± 0.001 | -1401.559 ± 0.001
SELECT 1000 * sbg_survival(alpha, beta, year) FROM early, generate_series(5, 12) AS g(year) ORDER BY year;
--> 284.5 ± 0.1
--> 253.7 ± 0.1
--> 229.6 ± 0.1
--> 210.3 ± 0.1
--> 194.3 ± 0.1
--> 180.9 ± 0.1
--> 169.4 ± 0.1
--> 159.5 ± 0.1

-- B4 Beta-discrete-Weibull: alpha, beta, c, log-likelihood; with c = 1 it is the shifted beta-geometric
-- data: contracts
SELECT segment, (fit).alpha, (fit).beta, (fit).c, (fit).log_likelihood
FROM (SELECT segment, bdw_fit(tenure, has_left, customers) AS fit FROM contracts GROUP BY segment) AS fits ORDER BY segment;
--> high end | 0.2143 ± 0.0001 | 1.4266 ± 0.0001 | 1.7236 ± 0.0001 | -1605.314 ± 0.01
--> regular | 0.4556 ± 0.0001 | 0.7793 ± 0.0001 | 1.2835 ± 0.0001 | -1679.603 ± 0.01
SELECT max(abs(bdw_survival(0.668, 3.806, 1, t) - sbg_survival(0.668, 3.806, t))) FROM generate_series(0, 60) AS g(t);
--> <= 1e-12

-- B5 Kaplan-Meier of 6-MP by week, and the medians
-- data: remissions
SELECT km_survival(weeks, ended, 6), km_survival(weeks, ended, 7), km_survival(weeks, ended, 10), km_survival(weeks, ended, 13),
    km_survival(weeks, ended, 16), km_survival(weeks, ended, 22), km_survival(weeks, ended, 23)
FROM remissions WHERE treatment = '6-MP';
--> 0.8571 ± 5e-5 | 0.8067 ± 5e-5 | 0.7529 ± 5e-5 | 0.6902 ± 5e-5 | 0.6275 ± 5e-5 | 0.5378 ± 5e-5 | 0.4482 ± 5e-5
SELECT treatment, km_median(weeks, ended) FROM remissions GROUP BY treatment ORDER BY treatment;
--> 6-MP | 23
--> placebo | 8

-- B6 Log-rank test of 6-MP and placebo
-- data: remissions
SELECT chi_squared, p_value, degrees_of_freedom FROM (SELECT (log_rank(weeks, ended, treatment)).* FROM remissions) AS test;
--> 16.79294 ± 1e-4 | 4.17e-5 ± 1e-7 | 1

-- B7 Cox (Efron) of 6-MP
-- data: remissions
SELECT coefficients[1], standard_errors[1] FROM (SELECT (cox_fit(weeks, ended, treatment = '6-MP')).* FROM remissions) AS fit;
--> -1.572125 ± 1e-5 | 0.412397 ± 1e-5

-- B8 Cox on Rossi's prisoners: fin, age, race, wexp, mar, paro, prio; log-likelihood, concordance, ratio of likelihoods
-- data: rossi
CREATE TEMPORARY TABLE rossi_fit AS SELECT (cox_fit(week, arrest, fin, age, race, wexp, mar, paro, prio)).* FROM rossi;
SELECT coefficients[1], coefficients[2], coefficients[3], coefficients[4], coefficients[5], coefficients[6], coefficients[7] FROM rossi_fit;
--> -0.37942 ± 1e-4 | -0.05744 ± 1e-4 | 0.31390 ± 1e-4 | -0.14980 ± 1e-4 | -0.43370 ± 1e-4 | -0.08487 ± 1e-4 | 0.09150 ± 1e-4
SELECT log_likelihood, concordance, 2 * (log_likelihood - log_likelihood_of_none) FROM rossi_fit;
--> -658.74766 ± 1e-4 | 0.64033 ± 1e-4 | 33.26595 ± 1e-4

-- B9 Kaplan-Meier of lung cancer: the median, and its interval of 95 %: where log(-log) bounds of the curve cross one half
-- data: lung
SELECT count(*) FILTER (WHERE status = 1), km_median("time", status), km_survival("time", status, 365) FROM lung;
--> 165 | 310 | 0.40924 ± 1e-5
SELECT min((step).time) FILTER (WHERE (step).low <= 0.5), min((step).time) FILTER (WHERE (step).high <= 0.5)
FROM (SELECT unnest(km_curve("time", status)) AS step FROM lung) AS curve;
--> 284 | 361

-- B10 Accelerated failure time (Weibull) of 6-MP: its coefficient, the intercept, the logarithm of the shape, log-likelihood
-- data: remissions
SELECT coefficients[1], intercept, log_shape, log_likelihood
FROM (SELECT (weibull_aft_fit(weeks, ended, treatment = '6-MP')).* FROM remissions) AS fit;
--> 1.267332 ± 1e-4 | 2.248348 ± 1e-4 | 0.311709 ± 1e-4 | -106.5795 ± 1e-4

-- B11 Kaplan-Meier of Telco's customers by contract, and the log-rank test
-- data: telco
SELECT contract, km_survival(tenure, churned, 12), km_survival(tenure, churned, 24), km_survival(tenure, churned, 48),
    km_survival(tenure, churned, 72), km_median(tenure, churned)
FROM telco GROUP BY contract ORDER BY contract;
--> Month-to-month | 0.703097 ± 1e-6 | 0.585915 ± 1e-6 | 0.397264 ± 1e-6 | 0.128952 ± 1e-6 | 35
--> One year | 0.990808 ± 1e-6 | 0.978272 ± 1e-6 | 0.916547 ± 1e-6 | 0.568146 ± 1e-6 | NULL
--> Two year | 1 | 1 | 0.995719 ± 1e-6 | 0.935739 ± 1e-6 | NULL
SELECT km_survival(tenure, churned, 1), km_survival(tenure, churned, 72) FROM telco;
--> 0.945961 ± 1e-6 | 0.592790 ± 1e-6
SELECT (log_rank(tenure, churned, contract)).chi_squared, (log_rank(tenure, churned, contract)).degrees_of_freedom FROM telco;
--> 2352.873 ± 0.01 | 2

-- B12 Cox (Efron) on Telco: monthly, one_year, two_year, fiber, no_internet, echeck, paperless, senior
-- data: telco
CREATE TEMPORARY TABLE telco_cox AS
SELECT (cox_fit(tenure, churned, monthly, one_year, two_year, fiber, no_internet, echeck, paperless, senior)).* FROM telco;
SELECT coefficients[1], coefficients[2], coefficients[3], coefficients[4], coefficients[5], coefficients[6], coefficients[7],
    coefficients[8], concordance
FROM telco_cox;
--> -0.033144 ± 1e-4 | -1.795922 ± 1e-4 | -3.572138 ± 1e-4 | 1.484340 ± 1e-4 | -1.192585 ± 1e-4 | 0.506731 ± 1e-4 | 0.161019 ± 1e-4 | -0.119234 ± 1e-4 | 0.83409 ± 1e-4
-- Printed with three decimals.
SELECT round(log_likelihood::numeric, 3) FROM telco_cox;
--> -14139.795
