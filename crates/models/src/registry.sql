CREATE SCHEMA IF NOT EXISTS models;
CREATE SCHEMA IF NOT EXISTS scores;
CREATE TABLE models.models (
    model      text PRIMARY KEY,
    type       text NOT NULL,
    options    text NOT NULL,
    query      text,
    owner      text NOT NULL,
    scores     text NOT NULL,
    version    bigint,
    refresh    text,
    time_zone  text,
    created_at timestamp with time zone NOT NULL
);
COMMENT ON TABLE models.models IS 'Models, as CREATE MODEL made them';
COMMENT ON COLUMN models.models.options IS 'JSON';
COMMENT ON COLUMN models.models.query IS 'What the model reads; NULL is the warehouse''s own history';
COMMENT ON COLUMN models.models.scores IS 'The table of the schema scores that it publishes to';
COMMENT ON COLUMN models.models.version IS 'The version in use; NULL until one is published';
COMMENT ON COLUMN models.models.refresh IS 'When it is refreshed, as cron says it; NULL is by hand';
CREATE TABLE models.versions (
    model          text NOT NULL REFERENCES models.models (model),
    version        bigint NOT NULL,
    as_of          date NOT NULL,
    status         text NOT NULL,
    grade          text,
    metric         text,
    value          double precision,
    baseline       text,
    baseline_value double precision,
    in_use_value   double precision,
    customers      bigint,
    left_out       bigint,
    seconds        double precision,
    created_at     timestamp with time zone NOT NULL,
    published_at   timestamp with time zone,
    published_by   text,
    why            text,
    PRIMARY KEY (model, version)
);
COMMENT ON TABLE models.versions IS 'What each refresh came to; the newest are kept with their scores';
COMMENT ON COLUMN models.versions.as_of IS 'The last day that it knew of';
COMMENT ON COLUMN models.versions.metric IS 'What it was judged by';
COMMENT ON COLUMN models.versions.baseline IS 'What somebody would foretell who knows no model';
COMMENT ON COLUMN models.versions.baseline_value IS 'The metric of the baseline, on the same holdout';
COMMENT ON COLUMN models.versions.customers IS 'Customers who were scored';
COMMENT ON COLUMN models.versions.seconds IS 'What the refresh took';
COMMENT ON COLUMN models.versions.published_by IS 'Who promoted it; NULL if it was published because it was judged better';
COMMENT ON COLUMN models.versions.why IS 'Why it was published or not, and what else was to be said';
COMMENT ON COLUMN models.versions.status IS 'in use, replaced, refused (judged and not published)';
COMMENT ON COLUMN models.versions.grade IS 'A: at least a tenth better than the baseline, B: a fiftieth, C: better at all, D: not better';
COMMENT ON COLUMN models.versions.value IS 'The metric on the holdout, which the version had not seen when it was judged';
COMMENT ON COLUMN models.versions.in_use_value IS 'The metric of the version that was in use then, on the same holdout';
COMMENT ON COLUMN models.versions.left_out IS 'Customers who do not consent to profiling';
CREATE TABLE models.metrics (
    model          text NOT NULL,
    version        bigint NOT NULL,
    metric         text NOT NULL,
    value          double precision,
    baseline_value double precision,
    in_use_value   double precision,
    PRIMARY KEY (model, version, metric),
    FOREIGN KEY (model, version) REFERENCES models.versions (model, version)
);
COMMENT ON TABLE models.metrics IS 'All that was measured of a version: on the holdout, and how far inputs and scores have drifted';
COMMENT ON COLUMN models.metrics.value IS 'On the holdout; drift_… is the population stability index since the version in use: from 0.1 some, from 0.25 much';
COMMENT ON COLUMN models.metrics.baseline_value IS 'The same of the baseline';
COMMENT ON COLUMN models.metrics.in_use_value IS 'The same of the version that was in use then';
CREATE TABLE models.parameters (
    model          text NOT NULL,
    version        bigint NOT NULL,
    name           text NOT NULL,
    value          double precision,
    standard_error double precision,
    text           text,
    PRIMARY KEY (model, version, name),
    FOREIGN KEY (model, version) REFERENCES models.versions (model, version)
);
COMMENT ON TABLE models.parameters IS 'What was fitted; with it the functions compute what the version would say';
COMMENT ON COLUMN models.parameters.standard_error IS 'From the curvature of the likelihood; NULL where there is none';
COMMENT ON COLUMN models.parameters.text IS 'What is no number: a day, a family, a stored model as JSON';
CREATE TABLE models.feature_importance (
    model      text NOT NULL,
    version    bigint NOT NULL,
    feature    text NOT NULL,
    importance double precision,
    rank       bigint,
    PRIMARY KEY (model, version, feature),
    FOREIGN KEY (model, version) REFERENCES models.versions (model, version)
);
COMMENT ON TABLE models.feature_importance IS 'How much each feature has to do with the scores; shares, which sum to 1';
CREATE TABLE models.runs (
    run         uuid PRIMARY KEY,
    model       text NOT NULL,
    version     bigint,
    as_of       date,
    started_at  timestamp with time zone NOT NULL,
    finished_at timestamp with time zone,
    status      text NOT NULL,
    phase       text,
    customers   bigint,
    left_out    bigint,
    seconds     double precision,
    message     text,
    holder      text
);
COMMENT ON TABLE models.runs IS 'Every refresh, also those that failed';
COMMENT ON COLUMN models.runs.version IS 'What came of it; NULL if nothing';
COMMENT ON COLUMN models.runs.phase IS 'How far it came';
COMMENT ON COLUMN models.runs.message IS 'Why it was published, refused, or failed';
COMMENT ON COLUMN models.runs.holder IS 'The process that ran it';
COMMENT ON COLUMN models.runs.status IS 'running, published, refused (judged and not published), failed, cancelled, overtaken (held up while another one took over), lost (the process ended)';
GRANT USAGE ON SCHEMA models, scores TO PUBLIC;
GRANT SELECT ON models.models, models.versions, models.metrics, models.parameters, models.feature_importance, models.runs TO PUBLIC;
REVOKE INSERT, UPDATE, DELETE, TRUNCATE ON models.models, models.versions, models.metrics, models.parameters, models.feature_importance, models.runs FROM rapport_writer, rapport_admin;
