SELECT step::integer AS step, event, next_event, count(*) AS journeys, count(DISTINCT customer) AS customers,
    count(*)::double precision / sum(count(*)) OVER (PARTITION BY step, event) AS share
FROM (
    SELECT customer, event,
        row_number() OVER (PARTITION BY customer, journey ORDER BY moment, event) AS step,
        lead(event) OVER (PARTITION BY customer, journey ORDER BY moment, event) AS next_event
    FROM (
        SELECT $customer AS customer, $occurred_at AS moment, ($event)::text AS event,
            session_id($occurred_at, $gap) OVER (PARTITION BY $customer ORDER BY $occurred_at) AS journey
        FROM "$relation"
        WHERE $customer IS NOT NULL AND $occurred_at IS NOT NULL AND $event IS NOT NULL
    ) AS events
) AS numbered
WHERE step <= $length
GROUP BY step, event, next_event
ORDER BY step, journeys DESC, event, next_event
