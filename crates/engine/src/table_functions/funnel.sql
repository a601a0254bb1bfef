SELECT step, name, customers,
    customers::double precision / nullif(first_value(customers) OVER (ORDER BY step), 0) AS share_of_first,
    customers::double precision / nullif(lag(customers) OVER (ORDER BY step), 0) AS share_of_previous
FROM (
    SELECT steps.step::integer AS step, steps.name, coalesce(sum(levels.customers), 0)::bigint AS customers
    FROM unnest(ARRAY[$names]) WITH ORDINALITY AS steps (name, step)
    LEFT JOIN (
        SELECT level, count(*) AS customers
        FROM (
            SELECT window_funnel($window, $modes, $occurred_at, $step) AS level
            FROM "$relation" WHERE $customer IS NOT NULL GROUP BY $customer
        ) AS reached
        GROUP BY level
    ) AS levels ON levels.level >= steps.step
    GROUP BY steps.step, steps.name
) AS counted
ORDER BY step
