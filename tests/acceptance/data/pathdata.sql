-- Marketing paths through twelve channels: how many journeys along each path converted, and how many did not.
CREATE TABLE path_file (path text, conversions double precision, value double precision, misses double precision);
\copy path_file FROM 'pathdata.csv' (FORMAT csv, HEADER)
CREATE TABLE paths AS SELECT string_to_array(path, ' > ') AS path, conversions, misses FROM path_file;

-- What each method credits the channels with.
CREATE TABLE credits AS
SELECT method, (credit).channel, (credit).conversions, (credit).removal_effect
FROM (
    SELECT 'first' AS method, unnest(attribution_credits('first', path, conversions, misses)) AS credit FROM paths
    UNION ALL SELECT 'last', unnest(attribution_credits('last', path, conversions, misses)) FROM paths
    UNION ALL SELECT 'linear', unnest(attribution_credits('linear', path, conversions, misses)) FROM paths
    UNION ALL SELECT 'position', unnest(attribution_credits('position', path, conversions, misses)) FROM paths
    UNION ALL SELECT 'markov', unnest(attribution_credits('markov', path, conversions, misses)) FROM paths
    UNION ALL SELECT 'markov_2', unnest(attribution_credits('markov_2', path, conversions, misses)) FROM paths
    UNION ALL SELECT 'markov_3', unnest(attribution_credits('markov_3', path, conversions, misses)) FROM paths
    UNION ALL SELECT 'markov_4', unnest(attribution_credits('markov_4', path, conversions, misses)) FROM paths
    UNION ALL SELECT 'shapley', unnest(attribution_credits('shapley', path, conversions, misses)) FROM paths
) AS t;
