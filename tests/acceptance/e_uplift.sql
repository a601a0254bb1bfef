-- Whom a campaign moves: Hillstrom's e-mails.

-- E1 Share of visits and of purchases, and spend, by what was sent
-- data: hillstrom
SELECT segment, count(*), avg(visit), avg(conversion), avg(spend) FROM hillstrom GROUP BY segment ORDER BY segment;
--> Mens E-Mail | 21307 | 0.182757 ± 1e-6 | 0.012531 ± 1e-6 | 1.422617 ± 1e-6
--> No E-Mail | 21306 | 0.106167 ± 1e-6 | 0.005726 ± 1e-6 | 0.652789 ± 1e-6
--> Womens E-Mail | 21387 | 0.151400 ± 1e-6 | 0.008837 ± 1e-6 | 1.077202 ± 1e-6

-- E2 Average effects with their standard errors on visits, purchases and spend: of the e-mail for men, of that for women
-- data: hillstrom
SELECT (visits).effect, (visits).standard_error, (purchases).effect, (purchases).standard_error, (spends).effect, (spends).standard_error
FROM (
    SELECT 1, average_effect(visit, segment = 'Mens E-Mail'), average_effect(conversion, segment = 'Mens E-Mail'),
        average_effect(spend, segment = 'Mens E-Mail')
    FROM hillstrom WHERE segment <> 'Womens E-Mail'
    UNION ALL
    SELECT 2, average_effect(visit, segment = 'Womens E-Mail'), average_effect(conversion, segment = 'Womens E-Mail'),
        average_effect(spend, segment = 'Womens E-Mail')
    FROM hillstrom WHERE segment <> 'Mens E-Mail'
) AS t(n, visits, purchases, spends) ORDER BY n;
--> 0.076590 ± 1e-6 | 0.003386 ± 1e-6 | 0.006805 ± 1e-6 | 0.000921 ± 1e-6 | 0.769827 ± 1e-6 | 0.145247 ± 1e-6
--> 0.045233 ± 1e-6 | 0.003234 ± 1e-6 | 0.003111 ± 1e-6 | 0.000823 ± 1e-6 | 0.424412 ± 1e-6 | 0.130333 ± 1e-6

-- E3 Qini and AUUC of the toy of scikit-uplift
SELECT qini(uplift, visited, treated), auuc(uplift, visited, treated)
FROM (VALUES (0.9, 0, 1), (0.8, 1, 1), (0.7, 0, 0), (0.6, 1, 1), (0.5, 1, 0), (0.4, 0, 0), (0.3, 1, 1), (0.2, 0, 0))
    AS toy(uplift, visited, treated);
--> 0.0151515 ± 1e-6 | -0.2517007 ± 1e-6

-- E4 Two logistic regressions foretell whom the e-mail for women moves: Qini, AUUC, uplift of the best 30 % in the other half
-- data: hillstrom
SELECT half, count(*) FROM womens_trial GROUP BY half ORDER BY half;
--> 0 | 21369
--> 1 | 21324
SELECT qini(uplift, visit, treated), auuc(uplift, visit, treated), uplift_at(uplift, visit, treated, 0.3) FROM womens_uplift;
--> 0.07461 ± 0.003 | 0.03486 ± 0.003 | 0.07871 ± 0.003

-- E5 The rule "who bought for women before" is hard to beat: the two regressions do, two models of boosted trees are worth something
-- data: hillstrom
SELECT qini(womens, visit, treated), qini(uplift, visit, treated) - qini(womens, visit, treated) FROM womens_uplift;
--> 0.06799 ± 1e-5 | >= 0
WITH models AS (
    SELECT boosting_fit(visit, features) FILTER (WHERE treated) AS got, boosting_fit(visit, features) FILTER (WHERE NOT treated) AS not_got
    FROM womens_features WHERE half = 0
)
SELECT qini(boosting_probability(got, features) - boosting_probability(not_got, features), visit, treated)
FROM womens_features, models WHERE half = 1;
--> >= 0.05
