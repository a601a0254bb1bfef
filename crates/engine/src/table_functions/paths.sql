SELECT path, steps::integer AS steps, count(*) AS journeys, count(DISTINCT customer) AS customers,
    count(*)::double precision / sum(count(*)) OVER () AS share
FROM (
    SELECT customer, journey, string_agg(event, ' > ' ORDER BY n) AS path, count(*) AS steps
    FROM (
        SELECT customer, journey, event, row_number() OVER (PARTITION BY customer, journey ORDER BY moment, event) AS n
        FROM (
            SELECT $customer AS customer, $occurred_at AS moment, ($event)::text AS event,
                session_id($occurred_at, $gap) OVER (PARTITION BY $customer ORDER BY $occurred_at) AS journey
            FROM "$relation"
            WHERE $customer IS NOT NULL AND $occurred_at IS NOT NULL AND $event IS NOT NULL
        ) AS events
    ) AS numbered
    WHERE n <= $length
    GROUP BY customer, journey
) AS journeys
GROUP BY path, steps
ORDER BY journeys DESC, path
