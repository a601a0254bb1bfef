-- Weeks in remission of the leukaemia patients of Freireich et al. (1963), and whether it ended.
CREATE TABLE remissions AS
SELECT treatment, weeks, ended FROM (VALUES
    ('6-MP', 6, true), ('6-MP', 6, true), ('6-MP', 6, true), ('6-MP', 7, true), ('6-MP', 10, true),
    ('6-MP', 13, true), ('6-MP', 16, true), ('6-MP', 22, true), ('6-MP', 23, true), ('6-MP', 6, false),
    ('6-MP', 9, false), ('6-MP', 10, false), ('6-MP', 11, false), ('6-MP', 17, false), ('6-MP', 19, false),
    ('6-MP', 20, false), ('6-MP', 25, false), ('6-MP', 32, false), ('6-MP', 32, false), ('6-MP', 34, false),
    ('6-MP', 35, false), ('placebo', 1, true), ('placebo', 1, true), ('placebo', 2, true), ('placebo', 2, true),
    ('placebo', 3, true), ('placebo', 4, true), ('placebo', 4, true), ('placebo', 5, true), ('placebo', 5, true),
    ('placebo', 8, true), ('placebo', 8, true), ('placebo', 8, true), ('placebo', 8, true), ('placebo', 11, true),
    ('placebo', 11, true), ('placebo', 12, true), ('placebo', 12, true), ('placebo', 15, true), ('placebo', 17, true),
    ('placebo', 22, true), ('placebo', 23, true)
) AS patients(treatment, weeks, ended);
