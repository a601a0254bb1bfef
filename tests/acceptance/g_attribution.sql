-- Which channel brings the conversions.

-- G1 First touch: alpha, beta, eta, iota
-- data: pathdata
SELECT channel, conversions FROM credits WHERE method = 'first' AND channel IN ('alpha', 'beta', 'eta', 'iota') ORDER BY channel;
--> alpha | 6308
--> beta | 2831
--> eta | 3164
--> iota | 4606

-- G2 Last touch
-- data: pathdata
SELECT channel, conversions FROM credits WHERE method = 'last' AND channel IN ('alpha', 'beta', 'eta', 'iota') ORDER BY channel;
--> alpha | 8447
--> beta | 989
--> eta | 4167
--> iota | 3355

-- G3 Linear: the same to each touch
-- data: pathdata
SELECT channel, conversions FROM credits WHERE method = 'linear' AND channel IN ('alpha', 'beta', 'eta', 'iota') ORDER BY channel;
--> alpha | 7574.719 ± 0.001
--> beta | 2083.500 ± 0.001
--> eta | 3539.951 ± 0.001
--> iota | 3857.096 ± 0.001

-- G4 Markov chain: what it credits is the share of journeys that convert
-- data: pathdata
SELECT sum(conversions) / (SELECT sum(conversions + misses) FROM paths) FROM credits WHERE method = 'markov';
--> 0.2238451356 ± 1e-9

-- G5 Markov chain: which share of the conversions is lost without the channel
-- data: pathdata
SELECT channel, removal_effect FROM credits
WHERE method = 'markov' AND channel IN ('alpha', 'beta', 'eta', 'iota', 'theta') ORDER BY channel;
--> alpha | 0.558399 ± 1e-5
--> beta | 0.264039 ± 1e-5
--> eta | 0.349026 ± 1e-5
--> iota | 0.405835 ± 1e-5
--> theta | 0.206010 ± 1e-5

-- G6 Markov chain: credits, which stay the same if a channel that is touched again at once counts once
-- data: pathdata
SELECT channel, conversions FROM credits
WHERE method = 'markov' AND channel IN ('alpha', 'beta', 'eta', 'iota', 'theta') ORDER BY channel;
--> alpha | 5344.948 ± 0.01
--> beta | 2527.352 ± 0.01
--> eta | 3340.847 ± 0.01
--> iota | 3884.615 ± 0.01
--> theta | 1971.913 ± 0.01
WITH numbered AS (
    SELECT row_number() OVER (ORDER BY path) AS n, path, conversions, misses FROM paths
), touches AS (
    SELECT n, place, path[place] AS channel, path[place - 1] AS before, conversions, misses
    FROM numbered, generate_series(1, 100) AS places(place) WHERE place <= cardinality(path)
), without_loops AS (
    SELECT array_agg(channel ORDER BY place) AS path, conversions, misses
    FROM touches WHERE before IS DISTINCT FROM channel GROUP BY n, conversions, misses
), again AS (
    SELECT unnest(attribution_credits('markov', path, conversions, misses)) AS credit FROM without_loops
)
SELECT sum((credit).conversions), max(abs((credit).conversions - credits.conversions))
FROM again JOIN credits ON method = 'markov' AND channel = (credit).channel;
--> 19785 ± 0.01 | <= 0.01

-- G7 Shapley's value of the game v(A) = 10, v(B) = 20, v(AB) = 50, v(AC) = 15, v(BC) = 30, v(ABC) = 70: the paths that make it
SELECT (credit).channel, (credit).conversions
FROM (
    SELECT unnest(attribution_credits('shapley', string_to_array(path, NULL), conversions, 0)) AS credit
    FROM (VALUES ('A', 10), ('B', 20), ('AB', 20), ('AC', 5), ('BC', 10), ('ABC', 5)) AS game(path, conversions)
) AS credits ORDER BY 1;
--> A | 24.1667 ± 1e-4
--> B | 36.6667 ± 1e-4
--> C | 9.1667 ± 1e-4

-- G8 By any method, what the channels are credited with are the conversions
-- data: pathdata
SELECT count(DISTINCT method), max(abs(total / 19785 - 1)) FROM (SELECT method, sum(conversions) AS total FROM credits GROUP BY method) AS totals;
--> 9 | <= 1e-9
