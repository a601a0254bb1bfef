SELECT customer_id, DATE '{as_of}' AS as_of, {horizon} AS horizon_days,
    round(p_alive::numeric, 6)::double precision AS p_alive,
    purchases AS expected_purchases,
    round(per_purchase::numeric, 2)::numeric(18,2) AS expected_spend,
    round(value::numeric, 2)::numeric(18,2) AS clv,
    round(least(value, value * low)::numeric, 2)::numeric(18,2) AS clv_low,
    round(greatest(value, value * high)::numeric, 2)::numeric(18,2) AS clv_high,
    CASE WHEN value >= {very_high} THEN 'very high' WHEN value >= {high} THEN 'high' WHEN value >= {medium} THEN 'medium' ELSE 'low' END AS band,
    CASE 0 WHEN alive_rank THEN alive_reason WHEN rate_rank THEN rate_reason ELSE spend_reason END AS reason_1,
    CASE 1 WHEN alive_rank THEN alive_reason WHEN rate_rank THEN rate_reason ELSE spend_reason END AS reason_2,
    CASE 2 WHEN alive_rank THEN alive_reason WHEN rate_rank THEN rate_reason ELSE spend_reason END AS reason_3
FROM (
    SELECT *,
        (rate_weight > alive_weight)::integer + (spend_weight > alive_weight)::integer AS alive_rank,
        (alive_weight >= rate_weight)::integer + (spend_weight > rate_weight)::integer AS rate_rank,
        'last purchase ' || (age - recency) || ' days ago: ' ||
            CASE WHEN p_alive >= 0.8 THEN 'very likely still a customer' WHEN p_alive >= 0.5 THEN 'probably still a customer'
                 WHEN p_alive >= 0.2 THEN 'probably gone' ELSE 'very likely gone' END AS alive_reason,
        CASE WHEN repeats = 0 THEN 'bought on one day only, ' || age || ' days ago'
             ELSE 'bought on ' || (repeats + 1) || ' days in ' || age || ', ' ||
                  CASE WHEN repeats >= {often} THEN 'more often than most' ELSE 'not more often than most' END END AS rate_reason,
        CASE WHEN spend IS NULL THEN 'no repeat purchase whose value is known: the average is assumed'
             ELSE 'spends ' || round(spend::numeric, 2) || ' a day of purchase, ' ||
                  CASE WHEN spend >= {average_spend} THEN 'above' ELSE 'below' END || ' the average of ' || round({average_spend}::numeric, 2) END AS spend_reason,
        CASE {lows} END AS low, CASE {highs} END AS high
    FROM (
        SELECT *, ({value}) AS value,
            abs(ln(greatest(p_alive, 1e-6) / {average_alive})) AS alive_weight,
            abs(ln(((repeats + 1)::double precision / (age + 30)) / {average_rate})) AS rate_weight,
            abs(ln(greatest(per_purchase, 1e-6) / {average_spend})) AS spend_weight
        FROM (
            SELECT customer_id, repeats, recency, age, spend, {p_alive} AS p_alive, {purchases} AS purchases,
                {steps}, {per_purchase} AS per_purchase
            FROM histories
        ) AS expected
    ) AS valued
) AS explained
