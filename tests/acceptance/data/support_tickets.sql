-- Tickets of a contact centre, and the answers to its survey.
\! rapport load support_tickets support_tickets.csv
CREATE VIEW tickets AS
SELECT properties::json ->> 'channel' AS channel
FROM interactions WHERE source = 'support_tickets' AND interaction_type = 'contact';
CREATE VIEW ratings AS
SELECT score FROM interactions WHERE source = 'support_tickets' AND interaction_type = 'survey';
