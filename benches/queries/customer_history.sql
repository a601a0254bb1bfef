SELECT occurred_at, channel, interaction_type, outcome, amount FROM interactions WHERE customer_id = :customer ORDER BY occurred_at
