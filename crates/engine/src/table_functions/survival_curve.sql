SELECT stratum,
    (step).time AS time, (step).at_risk AS at_risk, (step).events AS events, (step).censored AS censored,
    (step).survival AS survival, (step).low AS low, (step).high AS high
FROM (
    SELECT stratum, unnest(curve) AS step
    FROM (
        SELECT ($stratum)::text AS stratum, km_curve($duration, $event, $level) AS curve
        FROM "$relation" GROUP BY ($stratum)::text
    ) AS curves
) AS steps
ORDER BY stratum, time
