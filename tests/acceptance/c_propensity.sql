-- Who will leave: scores, and how good they are.

-- C1 Logistic regression of Spector & Mazzeo: intercept, gpa, tuce, psi; log-likelihood; standard errors
-- data: students
CREATE TEMPORARY TABLE students_fit AS SELECT (logistic_fit(improved, gpa, tuce, psi)).* FROM students;
SELECT intercept, coefficients[1], coefficients[2], coefficients[3], log_likelihood FROM students_fit;
--> -13.02135 ± 1e-4 | 2.82611 ± 1e-4 | 0.09516 ± 1e-4 | 2.37869 ± 1e-4 | -12.88963 ± 1e-4
SELECT intercept_standard_error, standard_errors[1], standard_errors[2], standard_errors[3] FROM students_fit;
--> 4.93132 ± 1e-4 | 1.26294 ± 1e-4 | 0.14155 ± 1e-4 | 1.06456 ± 1e-4

-- C2 Logistic regression of Telco: intercept, tenure, monthly, one_year, two_year, fiber, no_internet, echeck, paperless, senior
-- data: telco
SELECT intercept, coefficients[1], coefficients[2], coefficients[3], coefficients[4], coefficients[5] FROM telco_logit;
--> -0.916801 ± 1e-4 | -0.032706 ± 1e-4 | 0.003194 ± 1e-4 | -0.735831 ± 1e-4 | -1.507333 ± 1e-4 | 0.879364 ± 1e-4
SELECT coefficients[6], coefficients[7], coefficients[8], coefficients[9], log_likelihood FROM telco_logit;
--> -0.724996 ± 1e-4 | 0.445406 ± 1e-4 | 0.400946 ± 1e-4 | 0.321745 ± 1e-4 | -2981.32284 ± 1e-4
SELECT auc(score, churned), brier(score, churned) FROM telco_scores;
--> 0.83920 ± 1e-4 | 0.138097 ± 1e-4

-- C3 Telco, each customer by a model of the other four folds: regularised regression on all columns
-- data: telco_folds
SELECT fold, count(*) FROM telco_folds GROUP BY fold ORDER BY fold;
--> 0 | 1415
--> 1 | 1428
--> 2 | 1378
--> 3 | 1460
--> 4 | 1362
SELECT auc(score, churned), brier(score, churned), calibration_error(score, churned, 10) FROM telco_line;
--> >= 0.842 | <= 0.138 | <= 0.025

-- C4 The same by gradient-boosted trees, which are not worse than the regression by more than 0.003
-- data: telco_folds
SELECT auc(score, churned), auc(score, churned) - (SELECT auc(score, churned) FROM telco_line) FROM telco_trees;
--> >= 0.843 | >= -0.003

-- C5 Metrics of C2's scores as scikit-learn has them, and those of tied scores
-- data: telco
SELECT auc(score, churned), average_precision(score, churned), ks(score, churned), lift(score, churned, 0.1) FROM telco_scores;
--> 0.839204252732569 ± 1e-9 | 0.637490964669347 ± 1e-9 | 0.528969806847962 ± 1e-9 | 2.740600223746291 ± 1e-9
SELECT brier(score, churned), log_loss(score, churned), calibration_error(score, churned, 10) FROM telco_scores;
--> 0.138097355324992 ± 1e-9 | 0.423302973573628 ± 1e-9 | 0.007942400324301 ± 1e-9
SELECT auc(tied, churned), average_precision(tied, churned), ks(tied, churned)
FROM (SELECT round(score * 100) / 100 AS tied, churned FROM telco_scores) AS rounded;
--> 0.839046241620913 ± 1e-9 | 0.632875992466634 ± 1e-9 | 0.527107902354924 ± 1e-9

-- C6 Isotonic calibration of C2's scores never falls, and its mean is the share of those who left
-- data: telco
CREATE TEMPORARY TABLE calibrated AS
WITH fit AS (SELECT (isotonic_fit(score, churned)).* FROM telco_scores)
SELECT churned, score, isotonic(thresholds, probabilities, score) AS probability FROM telco_scores, fit;
SELECT avg(probability) - avg(churned::integer) FROM calibrated;
--> 0 ± 1e-9
SELECT count(*) FILTER (WHERE probability < before), min(probability) >= 0, max(probability) <= 1
FROM (SELECT probability, lag(probability) OVER (ORDER BY score) AS before FROM calibrated) AS t;
--> 0 | t | t

-- C7 Nothing leaks: a summary as of a day does not know what came after it; blank totals are NULL and left out
-- data: cdnow telco
SELECT count(*), count(*) FILTER (WHERE known = as_if)
FROM (
    SELECT rfm_summary(occurred_at, amount, date '1997-09-30') AS known,
        rfm_summary(occurred_at, amount, date '1997-09-30') FILTER (WHERE occurred_at < '1997-10-01') AS as_if
    FROM interactions WHERE source = 'cdnow' GROUP BY customer_id
) AS histories;
--> 2357 | 2357
SELECT count(*) FILTER (WHERE total IS NULL), count(*) FILTER (WHERE total IS NULL AND tenure = 0),
    (logistic_fit(churned, tenure, total)).customers
FROM telco;
--> 11 | 11 | 7032
