-- The tables of a customer history, made by `rapport init` through the same CREATE TABLE as anyone's own.
-- How their files are sorted and indexed is told in the lake's layout.

CREATE TABLE customers (
    customer_id  bigint PRIMARY KEY,
    customer_ref text,
    first_seen   timestamp with time zone,
    properties   text
);
COMMENT ON TABLE customers IS 'One row per customer, as the warehouse numbers them';
COMMENT ON COLUMN customers.customer_id IS 'The warehouse''s own number, dense';
COMMENT ON COLUMN customers.customer_ref IS 'The main one of the company''s identifiers; the others are in customer_identities';
COMMENT ON COLUMN customers.first_seen IS 'When the first interaction happened';
COMMENT ON COLUMN customers.properties IS 'JSON: what a source tells about a customer and no column holds';

CREATE TABLE customer_identities (
    kind        text NOT NULL,
    value       text NOT NULL,
    customer_id bigint REFERENCES customers (customer_id),
    since       timestamp with time zone,
    source      text,
    PRIMARY KEY (kind, value)
);
COMMENT ON TABLE customer_identities IS 'The company''s identifiers of a customer: CRM number, e-mail, phone, card, cookie, device';
COMMENT ON COLUMN customer_identities.kind IS 'What sort of identifier, e.g. crm, email, phone, card, cookie';
COMMENT ON COLUMN customer_identities.since IS 'When it was first seen with this customer';

CREATE TABLE products (
    product_id text PRIMARY KEY,
    name       text,
    category   text,
    price      numeric(18,2),
    currency   text,
    properties text
);
COMMENT ON TABLE products IS 'What is sold';
COMMENT ON COLUMN products.currency IS 'ISO 4217 code';

CREATE TABLE campaigns (
    campaign_id text PRIMARY KEY,
    name        text,
    channel     text,
    starts_at   timestamp with time zone,
    ends_at     timestamp with time zone,
    cost        numeric(18,2),
    properties  text
);
COMMENT ON TABLE campaigns IS 'Who was addressed when and how; whom a campaign chose is an interaction of type assignment, whose outcome is treated or control';

CREATE TABLE offers (
    offer_id    text PRIMARY KEY,
    campaign_id text REFERENCES campaigns (campaign_id),
    product_id  text REFERENCES products (product_id),
    name        text,
    discount    numeric(18,4),
    properties  text
);
COMMENT ON TABLE offers IS 'What a campaign offers';
COMMENT ON COLUMN offers.discount IS 'Share of the price, 0 to 1';

CREATE TABLE agents (
    agent_id   text PRIMARY KEY,
    name       text,
    team       text,
    properties text
);
COMMENT ON TABLE agents IS 'People and bots that speak for the company';

CREATE TABLE interactions (
    interaction_id   uuid PRIMARY KEY,
    source           text NOT NULL,
    source_id        text,
    customer_id      bigint REFERENCES customers (customer_id),
    occurred_at      timestamp with time zone NOT NULL,
    received_at      timestamp with time zone NOT NULL,
    channel          text NOT NULL,
    touchpoint       text,
    interaction_type text NOT NULL,
    direction        text,
    context          text,
    session_id       text,
    case_id          text,
    campaign_id      text REFERENCES campaigns (campaign_id),
    agent_id         text REFERENCES agents (agent_id),
    product_id       text REFERENCES products (product_id),
    order_id         text,
    quantity         numeric(18,3),
    amount           numeric(18,2),
    currency         text,
    cost             numeric(18,4),
    duration_s       double precision,
    wait_s           double precision,
    outcome          text,
    survey           text,
    score            double precision,
    sentiment        double precision,
    body             text,
    latitude         double precision,
    longitude        double precision,
    properties       text
);
COMMENT ON TABLE interactions IS 'One row per interaction with a customer, in any channel; it only grows';
COMMENT ON COLUMN interactions.interaction_id IS 'A 128-bit hash of the source and its own id, or of the row';
COMMENT ON COLUMN interactions.source IS 'Which source told it';
COMMENT ON COLUMN interactions.source_id IS 'Its id in the source''s own words';
COMMENT ON COLUMN interactions.customer_id IS 'NULL while nobody knows who it was';
COMMENT ON COLUMN interactions.occurred_at IS 'When it happened';
COMMENT ON COLUMN interactions.received_at IS 'When the warehouse learned of it';
COMMENT ON COLUMN interactions.channel IS 'phone, chat, email, web, app, store, social, sms, bot, sensor …';
COMMENT ON COLUMN interactions.touchpoint IS 'Where in the channel: page, shop, number dialled';
COMMENT ON COLUMN interactions.interaction_type IS 'What it was: view, contact, purchase, return, survey …';
COMMENT ON COLUMN interactions.direction IS 'inbound or outbound';
COMMENT ON COLUMN interactions.context IS 'relationship, personal or situational';
COMMENT ON COLUMN interactions.session_id IS 'Interactions of one visit or call';
COMMENT ON COLUMN interactions.case_id IS 'Interactions about one matter';
COMMENT ON COLUMN interactions.quantity IS 'Pieces; negative for returns';
COMMENT ON COLUMN interactions.amount IS 'Money the customer paid, in currency; negative for returns';
COMMENT ON COLUMN interactions.currency IS 'ISO 4217 code';
COMMENT ON COLUMN interactions.cost IS 'What the interaction cost the company, in currency';
COMMENT ON COLUMN interactions.duration_s IS 'Seconds';
COMMENT ON COLUMN interactions.wait_s IS 'Seconds the customer waited';
COMMENT ON COLUMN interactions.outcome IS 'purchase, refusal, resolved, escalated …';
COMMENT ON COLUMN interactions.survey IS 'nps, csat, ces, likert';
COMMENT ON COLUMN interactions.score IS 'The answer, on the survey''s own scale';
COMMENT ON COLUMN interactions.sentiment IS '-1 to 1';
COMMENT ON COLUMN interactions.body IS 'What was said or written';
COMMENT ON COLUMN interactions.properties IS 'JSON: what the source has and no column holds';

CREATE TABLE consents (
    customer_id bigint REFERENCES customers (customer_id),
    purpose     text,
    channel     text,
    granted     boolean,
    preferred   boolean,
    since       timestamp with time zone,
    source      text
);
COMMENT ON TABLE consents IS 'What a customer allows, and which channel they prefer';
COMMENT ON COLUMN consents.purpose IS 'marketing, profiling …; who refuses profiling is left out of models';
COMMENT ON COLUMN consents.preferred IS 'The customer has said that this is the channel to use';

CREATE TABLE channel_costs (
    channel    text,
    valid_from date,
    unit_cost  numeric(18,4),
    currency   text
);
COMMENT ON TABLE channel_costs IS 'What one interaction in a channel costs, from a day on';

CREATE TABLE code_dictionary (
    system     text,
    field      text,
    code       text,
    lang       text,
    text       text,
    valid_from date,
    valid_to   date
);
COMMENT ON TABLE code_dictionary IS 'What codes of the sources mean';

CREATE TABLE quarantine (
    load_id    text,
    source     text,
    file       text,
    line       bigint,
    "column"   text,
    reason     text,
    raw        text,
    refused_at timestamp with time zone
);
COMMENT ON TABLE quarantine IS 'Rows that could not be understood, as they came';
COMMENT ON COLUMN quarantine.reason IS 'Why it was refused';
COMMENT ON COLUMN quarantine.raw IS 'The row as the source has it';
