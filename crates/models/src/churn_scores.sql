SELECT customer_id, DATE '{as_of}' AS as_of, {horizon} AS horizon_days,
    round(p_churn::numeric, 6)::double precision AS p_churn,
    round(least(p_churn, low)::numeric, 6)::double precision AS p_low,
    round(greatest(p_churn, high)::numeric, 6)::double precision AS p_high,
    round(p_alive::numeric, 6)::double precision AS p_alive,
    CASE WHEN p_churn >= 0.7 THEN 'high' WHEN p_churn >= 0.4 THEN 'medium' ELSE 'low' END AS band,
    CASE WHEN repeats = 0 THEN one_time WHEN silence > 2 * rhythm THEN overdue ELSE in_time END AS reason_1,
    CASE WHEN repeats = 0 THEN since WHEN p_alive < 0.5 THEN gone ELSE there END AS reason_2,
    bought AS reason_3
FROM (
    SELECT *, CASE {lows} END AS low, CASE {highs} END AS high,
        'bought on one day only' AS one_time,
        'silent for ' || silence || ' days, ' || round((silence / rhythm)::numeric, 1) || ' times the usual ' || round(rhythm::numeric) || ' days between purchases' AS overdue,
        'silent for ' || silence || ' days, the usual time between purchases is ' || round(rhythm::numeric) AS in_time,
        'that was ' || silence || ' days ago' AS since,
        'has left for good with a probability of ' || round((100 * (1 - p_alive))::numeric) || ' %' AS gone,
        'is still a customer with a probability of ' || round((100 * p_alive)::numeric) || ' %' AS there,
        'bought on ' || (repeats + 1) || CASE WHEN repeats = 0 THEN ' day in ' ELSE ' days in ' END || age AS bought
    FROM (
        SELECT customer_id, repeats, recency, age, age - recency AS silence,
            CASE WHEN repeats > 0 THEN recency::double precision / repeats END AS rhythm,
            least(1, greatest(0, {p_silent})) AS p_churn, {p_alive} AS p_alive
        FROM histories
    ) AS expected
) AS explained
