-- Rossi's released prisoners, watched for a year.
CREATE TABLE rossi (week integer, arrest integer, fin integer, age integer, race integer, wexp integer, mar integer,
    paro integer, prio integer);
\copy rossi FROM 'rossi.csv' (FORMAT csv, HEADER)
