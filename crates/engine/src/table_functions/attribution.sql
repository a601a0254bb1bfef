WITH touches AS (
    SELECT $customer AS customer, $occurred_at AS moment, ($channel)::text AS channel,
        coalesce($converted, false) AS converted,
        CASE WHEN $converted THEN "$not_negative"('value', ($value)::double precision) END AS value,
        coalesce(sum(CASE WHEN $converted THEN 1 ELSE 0 END) OVER (
            PARTITION BY $customer ORDER BY $occurred_at, coalesce($converted, false) ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING
        ), 0) AS journey
    FROM "$relation"
    WHERE $customer IS NOT NULL AND $occurred_at IS NOT NULL
), aged AS (
    SELECT customer, journey, moment, channel, converted, value,
        (extract(epoch FROM max(moment) OVER (PARTITION BY customer, journey)) - extract(epoch FROM moment))::double precision / 86400 AS age
    FROM touches
), journeys AS (
    SELECT coalesce(array_agg(channel ORDER BY moment, converted) FILTER (WHERE channel IS NOT NULL), ARRAY['']) AS path,
        coalesce(array_agg(age ORDER BY moment, converted) FILTER (WHERE channel IS NOT NULL), ARRAY[0.0::double precision]) AS ages,
        count(channel) AS touches, count(*) FILTER (WHERE converted) AS conversions,
        coalesce(sum(value) FILTER (WHERE converted), 0) AS value
    FROM aged
    GROUP BY customer, journey
)
SELECT nullif((credit).channel, '') AS channel, (credit).share * value AS conversions, (credit).share AS share,
    (credit).removal_effect AS removal_effect
FROM (
    SELECT unnest(credits) AS credit, value
    FROM (
        SELECT attribution_credits(
                $method, path, CASE WHEN $method LIKE 'markov%' THEN conversions ELSE value END,
                CASE WHEN conversions = 0 THEN 1 ELSE 0 END, ages, $half_life
            ) AS credits,
            sum(value) AS value
        FROM journeys
        WHERE touches > 0 OR conversions > 0
    ) AS credited
) AS credits
ORDER BY conversions DESC, channel
