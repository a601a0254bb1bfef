"""One question to one peer: peers.py QUESTION SIZE FOLDER, answered as JSON: milliseconds of each run, and what came out.

A peer reads its data before the clock starts. It runs three times, or as often as half a minute allows.
"""

import json
import sys
import time
from pathlib import Path


def timed(work):
    times = []
    while len(times) < 3 and sum(times) < 30_000:
        start = time.monotonic()
        answer = work()
        times.append(1_000 * (time.monotonic() - start))
    return times, answer


def customers(folder, size):
    import pandas

    return pandas.read_csv(folder / f"customers-{size}.csv", header=None, names=["repeats", "recency", "age"])


def bgnbd_fit(folder, size):
    import numpy
    from lifetimes import BetaGeoFitter

    data = customers(folder, size)
    times, model = timed(lambda: BetaGeoFitter().fit(data.repeats, data.recency, data.age))
    # The fit itself is in units of its own.
    logs, ones = numpy.log(model.params_.to_numpy()), numpy.ones(size)
    mean = model._negative_log_likelihood(logs, data.repeats, data.recency, data.age, ones, 0.0)
    return times, -mean * size


def pnbd_fit(folder, size):
    from lifetimes import ParetoNBDFitter

    data = customers(folder, size)
    times, model = timed(lambda: ParetoNBDFitter().fit(data.repeats, data.recency, data.age))
    columns = [data[name].to_numpy() for name in ("repeats", "recency", "age")]
    return times, model._conditional_log_likelihood(model.params_.to_numpy(), *columns).sum()


def refresh(folder, size):
    """The three models of benches/refresh.rs, from the Parquet files of the demo to Parquet files of scores."""
    import resource
    import tempfile

    import duckdb
    import numpy
    from lifetimes import BetaGeoFitter, GammaGammaFitter, ModifiedBetaGeoFitter, ParetoNBDFitter

    source = f"'{folder}/interactions/*.parquet'"
    database = duckdb.connect()
    out = tempfile.TemporaryDirectory()
    end, horizon = database.sql(f"SELECT max(occurred_at)::date FROM {source} WHERE interaction_type = 'purchase'").fetchall()[0][0], 365

    def histories(days):
        return database.sql(f"""
            WITH days AS (
                SELECT customer, occurred_at::date AS day, sum(amount)::double AS amount FROM {source}
                WHERE interaction_type = 'purchase' AND occurred_at::date <= DATE '{end}' GROUP BY ALL
            ), firsts AS (SELECT *, min(day) OVER (PARTITION BY customer) AS first FROM days)
            SELECT customer, count(*) FILTER (day <= DATE '{end}' - {days}) - 1 AS past_repeats,
                max(day) FILTER (day <= DATE '{end}' - {days}) - min(day) AS past_recency, DATE '{end}' - {days} - min(day) AS past_age,
                count(*) - 1 AS repeats, max(day) - min(day) AS recency, DATE '{end}' - min(day) AS age,
                coalesce(avg(amount) FILTER (day > first), 0) AS spend, sum(amount) AS monetary,
                count(*) FILTER (day > DATE '{end}' - {days}) AS later
            FROM firsts GROUP BY customer""").df()

    def grouped(data, prefix):
        columns = [prefix + name for name in ("repeats", "recency", "age")]
        known = data[data[prefix + "age"] > 0]
        groups = known.groupby(columns).size().reset_index(name="n")
        return [groups[name] for name in columns] + [groups.n]

    def fitted(kind, data, prefix):
        repeats, recency, age, n = grouped(data, prefix)
        return kind(penalizer_coef=0.0).fit(repeats, recency, age, weights=n)

    def expected(model, data, prefix, days):
        columns = [data[prefix + name] for name in ("repeats", "recency", "age")]
        return model.conditional_expected_number_of_purchases_up_to_time(days, *columns)

    def alive(model, data, prefix):
        return model.conditional_probability_alive(*[data[prefix + name] for name in ("repeats", "recency", "age")])

    def clv():
        data = histories(horizon)
        past = data[data.past_age > 0]
        kinds = [BetaGeoFitter, ModifiedBetaGeoFitter, ParetoNBDFitter]
        errors = {}
        for kind in kinds:
            model = fitted(kind, past, "past_")
            errors[kind] = numpy.abs(expected(model, past, "past_", horizon) - past.later).mean()
        model = fitted(min(errors, key=errors.get), data, "")
        spenders = data[(data.repeats > 0) & (data.spend > 0)]
        spend = GammaGammaFitter().fit(spenders.repeats, spenders.spend)
        data["p_alive"] = alive(model, data, "")
        money = spend.conditional_expected_average_profit(data.repeats, data.spend)
        steps = [expected(model, data, "", 91.25 * (n + 1)) for n in range(4)]
        data["clv"] = sum(
            (steps[n] - (steps[n - 1] if n else 0)) * money / 1.1 ** ((n + 0.5) / 4) for n in range(4)
        )
        data.to_parquet(f"{out.name}/clv.parquet")

    def churn():
        data = histories(90)
        past = data[data.past_age > 0]
        errors = {}
        for kind in (BetaGeoFitter, ModifiedBetaGeoFitter):
            model = fitted(kind, past, "past_")
            r, alpha = model.params_["r"], model.params_["alpha"]
            silent = 1 - alive(model, past, "past_") * (
                1 - ((alpha + past.past_age) / (alpha + past.past_age + 90)) ** (r + past.past_repeats)
            )
            errors[kind] = ((silent - (past.later == 0)) ** 2).mean()
        model = fitted(min(errors, key=errors.get), data, "")
        r, alpha = model.params_["r"], model.params_["alpha"]
        data["p_churn"] = 1 - alive(model, data, "") * (1 - ((alpha + data.age) / (alpha + data.age + 90)) ** (r + data.repeats))
        data.to_parquet(f"{out.name}/churn.parquet")

    def segments():
        data = histories(90)
        for name, values in (("r", data.age - data.recency), ("f", data.repeats), ("m", data.monetary)):
            edges = numpy.quantile(values, [0.2, 0.4, 0.6, 0.8])
            data[name] = 1 + numpy.searchsorted(edges, values)
        numpy.log1p(data.later).groupby([data.r, data.f, data.m]).var()
        data.to_parquet(f"{out.name}/segments.parquet")

    def work():
        told = []
        for model in (clv, churn, segments):
            start = time.monotonic()
            model()
            told.append(f"{model.__name__} {time.monotonic() - start:.1f} s")
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
        return f"{', '.join(told)}, {peak} MB"

    start = time.monotonic()
    answer = work()
    return [1_000 * (time.monotonic() - start)], answer


def score(folder, size):
    import pandas
    from lifetimes import BetaGeoFitter

    data = customers(folder, size)
    model = BetaGeoFitter()
    model.params_ = pandas.Series({"r": 0.243, "alpha": 4.414, "a": 0.793, "b": 2.426})

    def work():
        alive = model.conditional_probability_alive(data.repeats, data.recency, data.age)
        expected = model.conditional_expected_number_of_purchases_up_to_time(13, data.repeats, data.recency, data.age)
        return alive.sum() + expected.sum()

    return timed(work)


def kmeans_fit(folder, size):
    import pandas
    from sklearn.cluster import KMeans

    points = pandas.read_csv(folder / f"points-{size}.csv", header=None).to_numpy()
    times, model = timed(lambda: KMeans(n_clusters=8, n_init=10, random_state=0).fit(points))
    return times, model.inertia_


def boosting(folder, size):
    """As ours: the number of trees by four folds, then all rows. AUC on as many rows that were not seen."""
    import lightgbm
    import numpy
    from sklearn.metrics import roc_auc_score

    rows = numpy.fromfile(folder / f"labelled-{size}.f64").reshape(2 * size, 51)
    seen, unseen = rows[:size], rows[size:]
    settings = {
        "objective": "binary",
        "learning_rate": 0.05,
        "num_leaves": 8,
        "max_depth": 3,
        "verbosity": -1,
    }

    def work():
        data = lambda: lightgbm.Dataset(seen[:, 1:], seen[:, 0])
        stop = [lightgbm.early_stopping(25, verbose=False)]
        folds = lightgbm.cv(settings, data(), 500, nfold=4, callbacks=stop)
        n_trees = len(folds["valid binary_logloss-mean"])
        return lightgbm.train(settings, data(), n_trees)

    times, model = timed(work)
    return times, roc_auc_score(unseen[:, 0], model.predict(unseen[:, 1:]))


# The same events in every engine, by whole numbers alone: visits of five events, four minutes apart, in two years.
EVENTS = """SELECT n {div} 5 * 2654435761 % 4294967296 % {customers} AS customer,
                   1640995200 + n {div} 5 * {span} + n % 5 * 240 AS second,
                   n % 65521 * (n % 65519) % 10007 % 6 AS kind, n % 32749 * (n % 32719) % 10007 % 11 AS score
            FROM {numbers}"""


def events(size, div, numbers):
    return EVENTS.format(div=div, numbers=numbers, customers=max(size // 100, 1), span=63_072_000 // max(size // 5, 1))


def clickhouse(sql):
    def work(folder, size):
        from chdb.session import Session

        session = Session()
        rows = events(size, "DIV", f"(SELECT toInt64(number) AS n FROM numbers({size}))")
        session.query(f"CREATE TABLE events ENGINE = MergeTree ORDER BY (customer, second) AS {rows}")
        return timed(lambda: str(session.query(sql, "TSV")).strip().replace("\t", "|").replace("\n", " "))

    return work


def duckdb(sql):
    def work(folder, size):
        import duckdb

        session = duckdb.connect()
        rows = events(size, "//", f"range({size}) AS g(n)")
        session.execute(f"CREATE TABLE events AS {rows} ORDER BY customer, second")

        def told():
            found = session.execute(sql).fetchall()
            return " ".join("|".join(str(value) for value in row) for row in found)

        return timed(told)

    return work


QUESTIONS = {
    "refresh": refresh,
    "bgnbd_fit": bgnbd_fit,
    "pnbd_fit": pnbd_fit,
    "score": score,
    "kmeans_fit": kmeans_fit,
    "boosting": boosting,
    "window_funnel_clickhouse": clickhouse(
        """SELECT level, count() FROM (
             SELECT windowFunnel(604800)(toDateTime(second), kind = 0, kind = 1, kind = 2) AS level FROM events GROUP BY customer
           ) GROUP BY level ORDER BY level"""
    ),
    # DuckDB has no funnel: this counts those who came through all three steps.
    "window_funnel_duckdb": duckdb(
        """SELECT count(DISTINCT customer) FROM (
             SELECT customer, second, kind, max(CASE WHEN kind = 2 THEN second END) OVER later AS bought,
                    min(CASE WHEN kind = 1 THEN second END) OVER later AS carried FROM events
             WINDOW later AS (PARTITION BY customer ORDER BY second RANGE BETWEEN CURRENT ROW AND 604800 FOLLOWING)
           ) WHERE kind = 0 AND carried <= bought"""
    ),
    "sessions_clickhouse": clickhouse(
        """SELECT sum(opens) FROM (
             SELECT second - lagInFrame(second, 1, -1000000) OVER (
               PARTITION BY customer ORDER BY second ROWS BETWEEN UNBOUNDED PRECEDING AND UNBOUNDED FOLLOWING
             ) > 1800 AS opens FROM events
           )"""
    ),
    "sessions_duckdb": duckdb(
        """SELECT sum(opens) FROM (
             SELECT (second - lag(second, 1, -1000000) OVER (PARTITION BY customer ORDER BY second) > 1800)::int AS opens
             FROM events
           )"""
    ),
    "nps_clickhouse": clickhouse(
        """SELECT toStartOfMonth(toDateTime(second, 'UTC')) AS month,
                  100 * (countIf(score >= 9) - countIf(score <= 6)) / count()
           FROM events GROUP BY month ORDER BY month LIMIT 1"""
    ),
    "nps_duckdb": duckdb(
        """SELECT date_trunc('month', make_timestamp(second * 1000000))::date AS month,
                  100 * (count(*) FILTER (score >= 9) - count(*) FILTER (score <= 6)) / count(*)
           FROM events GROUP BY month ORDER BY month LIMIT 1"""
    ),
}

if __name__ == "__main__":
    question, size, folder = sys.argv[1:]
    times, answer = QUESTIONS[question](Path(folder), int(size))
    print(json.dumps({"times": times, "answer": str(answer)}))
