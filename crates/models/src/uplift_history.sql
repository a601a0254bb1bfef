SELECT customer_id, campaign_id, occurred_at, treated, outcome,
    purchases_before, spend_before, days_since_purchase, interactions_before, contacts_before, sentiment_before,
    campaign_channel, prefers_channel
FROM (
    SELECT i.customer_id, i.campaign_id, i.occurred_at, i.interaction_type, i.outcome = 'treated' AS treated,
        (count(*) FILTER (WHERE i.interaction_type = 'purchase') OVER next > 0)::integer AS outcome,
        (count(*) FILTER (WHERE i.interaction_type = 'purchase') OVER before)::double precision AS purchases_before,
        coalesce(sum(i.amount) FILTER (WHERE i.interaction_type = 'purchase') OVER before, 0)::double precision AS spend_before,
        extract(epoch FROM i.occurred_at - max(i.occurred_at) FILTER (WHERE i.interaction_type = 'purchase') OVER before)::double precision / 86400 AS days_since_purchase,
        (count(*) OVER before)::double precision AS interactions_before,
        (count(*) FILTER (WHERE i.interaction_type = 'contact') OVER before)::double precision AS contacts_before,
        avg(i.sentiment) OVER before AS sentiment_before,
        c.channel AS campaign_channel, (p.channel = c.channel)::integer AS prefers_channel
    FROM interactions AS i
    LEFT JOIN campaigns AS c ON c.campaign_id = i.campaign_id
    LEFT JOIN (SELECT customer_id, max(channel) AS channel FROM consents WHERE preferred GROUP BY customer_id) AS p ON p.customer_id = i.customer_id
    WHERE i.interaction_type IN ('purchase', 'contact', 'assignment') AND i.customer_id IS NOT NULL AND i.occurred_at < DATE '{as_of}' + 1
    WINDOW before AS (PARTITION BY i.customer_id ORDER BY i.occurred_at ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING),
        next AS (PARTITION BY i.customer_id ORDER BY i.occurred_at RANGE BETWEEN CURRENT ROW AND INTERVAL '{window} days' FOLLOWING)
) AS seen
WHERE interaction_type = 'assignment' {campaign}
