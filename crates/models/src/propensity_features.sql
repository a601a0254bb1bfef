SELECT customer_id,
    count(*) FILTER (WHERE interaction_type = 'purchase')::double precision AS purchases,
    (DATE '{as_of}' - max(occurred_at) FILTER (WHERE interaction_type = 'purchase')::date)::double precision AS days_since_purchase,
    (DATE '{as_of}' - min(occurred_at) FILTER (WHERE interaction_type = 'purchase')::date)::double precision AS days_since_first_purchase,
    count(*) FILTER (WHERE interaction_type = 'purchase' AND occurred_at >= DATE '{as_of}' - 90)::double precision AS purchases_in_90_days,
    count(*) FILTER (WHERE interaction_type = 'purchase' AND occurred_at >= DATE '{as_of}' - 365)::double precision AS purchases_in_a_year,
    avg(amount) FILTER (WHERE interaction_type = 'purchase')::double precision AS spend_per_purchase,
    count(*) FILTER (WHERE interaction_type = 'return')::double precision AS returns,
    count(*)::double precision AS interactions,
    (DATE '{as_of}' - max(occurred_at)::date)::double precision AS days_since_interaction,
    count(*) FILTER (WHERE occurred_at >= DATE '{as_of}' - 30)::double precision AS interactions_in_30_days,
    count(*) FILTER (WHERE occurred_at >= DATE '{as_of}' - 90)::double precision AS interactions_in_90_days,
    count(*) FILTER (WHERE interaction_type = 'contact')::double precision AS contacts,
    count(*) FILTER (WHERE outcome IN ('unresolved', 'escalated'))::double precision AS unresolved_contacts,
    count(*) FILTER (WHERE outcome = 'refusal')::double precision AS refusals,
    avg(sentiment)::double precision AS sentiment,
    min(sentiment)::double precision AS worst_sentiment,
    avg(score) FILTER (WHERE survey = 'nps')::double precision AS nps_answer,
    count(DISTINCT channel)::double precision AS channels
FROM {events} AS events
WHERE occurred_at < DATE '{as_of}' + 1
GROUP BY customer_id
HAVING count(*) FILTER (WHERE interaction_type = 'purchase') > 0
