-- Patients with lung cancer of the North Central Cancer Treatment Group.
CREATE TABLE lung (inst double precision, "time" integer, status integer, age integer, sex integer, ph_ecog double precision,
    ph_karno double precision, pat_karno double precision, meal_cal double precision, wt_loss double precision);
\copy lung FROM 'lung.csv' (FORMAT csv, HEADER)
