"""The Python packages that people recommend with (implicit, scikit-learn, SciPy) and Rapport are asked the same of
purchases that chance has drawn."""

import random

import numpy as np
import psycopg
from implicit.als import AlternatingLeastSquares
from implicit.evaluation import ranking_metrics_at_k
from implicit.nearest_neighbours import CosineRecommender
from scipy.sparse import csr_matrix
from scipy.spatial.distance import cdist
from sklearn.metrics import average_precision_score, ndcg_score, precision_score, recall_score
from sklearn.metrics.pairwise import cosine_similarity
from threadpoolctl import threadpool_limits

from server import DATABASE, ENGINE, HOST, PASSWORD, PORT, USER, same, skip

N_CUSTOMERS, N_ITEMS = 60, 14


def _drawn(seed):
    """How much each customer has had of each item; everybody has had something, and not everything."""
    chance = random.Random(seed)
    had = np.zeros((N_CUSTOMERS, N_ITEMS))
    for customer in range(N_CUSTOMERS):
        for item in chance.sample(range(N_ITEMS), chance.randint(1, 6)):
            had[customer, item] = chance.randint(1, 3)
    return had


def _ask(sql):
    if ENGINE == "postgres":
        skip("PostgreSQL recommends nothing")
    with psycopg.connect(host=HOST, port=PORT, user=USER, password=PASSWORD, dbname=DATABASE) as connection:
        return connection.execute(sql).fetchall()


def _rows(had):
    rows = ", ".join(f"({customer}, {item}, {had[customer, item]:.0f})" for customer, item in np.argwhere(had))
    return f"(VALUES {rows}) AS drawn (customer, item, times)"


def _near(ours, theirs, within):
    assert np.allclose(ours, theirs, rtol=0, atol=within), np.abs(np.subtract(ours, theirs)).max()


def tastes_are_those_of_implicit():  # queries
    # With as many factors as items there is one best answer, which both come to from wherever they start.
    for seed, regularisation, confidence in [(1, 0.5, 10), (2, 2.0, 4), (3, 5.0, 1)]:
        had = _drawn(seed)
        rows = _ask(f"SELECT (unnest(als_recommend(customer, item, times, {N_ITEMS}, {N_ITEMS}, {regularisation}, {confidence}, 1000))).* "
                    f"FROM {_rows(had)}")
        model = AlternatingLeastSquares(factors=N_ITEMS, regularization=regularisation, iterations=1000, use_cg=False, use_native=True,
                                        dtype=np.float64, random_state=seed, use_gpu=False)
        with threadpool_limits(1, "blas"):
            model.fit(csr_matrix(np.where(had > 0, 1 + confidence * had, 0)), show_progress=False)
        scores = model.user_factors @ model.item_factors.T
        same(len(rows), int((had == 0).sum()))
        _near([row[3] for row in rows], [scores[row[0], row[1]] for row in rows], 1e-3)
        for customer in range(N_CUSTOMERS):
            ours = [item for one, item, *_ in sorted(rows, key=lambda row: row[2]) if one == customer]
            theirs = scores[customer, ours]
            assert np.all(np.diff(theirs) < 1e-3), (customer, theirs)


def neighbours_by_cosine_are_those_of_implicit_and_scikit_learn():  # queries
    for seed in range(4, 8):
        had = _drawn(seed) > 0
        rows = _ask(f"SELECT (unnest(item_neighbours(customer, item, 'cosine', {N_ITEMS}))).* FROM {_rows(had.astype(float))}")
        alike = cosine_similarity(had.T.astype(float))
        same(len(rows), int((alike > 0).sum()) - N_ITEMS)
        _near([row[2] for row in rows], [alike[row[0], row[1]] for row in rows], 1e-12)
        model = CosineRecommender(K=N_ITEMS + 1)
        model.fit(csr_matrix(had.astype(float)), show_progress=False)
        _near([row[2] for row in rows], [model.similarity[row[0], row[1]] for row in rows], 1e-6)


def neighbours_by_jaccard_are_those_of_scipy():  # queries
    for seed in range(8, 12):
        had = _drawn(seed) > 0
        rows = _ask(f"SELECT (unnest(item_neighbours(customer, item, 'jaccard', {N_ITEMS}))).* FROM {_rows(had.astype(float))}")
        alike = 1 - cdist(had.T, had.T, "jaccard")
        same(len(rows), int((alike > 1e-12).sum()) - N_ITEMS)
        _near([row[2] for row in rows], [alike[row[0], row[1]] for row in rows], 1e-12)


class _Ranking:
    """What `ranking_metrics_at_k` asks of a model: it is told the ranking."""

    def __init__(self, ranked):
        self.ranked = ranked

    def recommend(self, users, user_items, N, **_):
        return self.ranked[users][:, :N], np.ones((len(users), N), dtype=np.float32)


def rankings_are_judged_as_by_implicit_and_scikit_learn():  # queries
    for seed, k in [(12, 1), (13, 3), (14, 5), (15, N_ITEMS)]:
        taken = _drawn(seed) > 0
        chance = random.Random(seed)
        ranked = np.array([chance.sample(range(N_ITEMS), N_ITEMS) for _ in range(N_CUSTOMERS)], dtype=np.int32)
        rows = ", ".join(f"(ARRAY{list(map(int, ranked[c]))}, ARRAY{list(map(int, np.flatnonzero(taken[c])))})" for c in range(N_CUSTOMERS))
        [(precision, recall, ndcg, mean, mean_at_k, customers)] = _ask(
            f"SELECT (ranking_quality(recommended, taken, {k})).* FROM (VALUES {rows}) AS drawn (recommended, taken)")
        same(customers, N_CUSTOMERS)
        scores = np.zeros((N_CUSTOMERS, N_ITEMS))
        np.put_along_axis(scores, ranked, np.arange(N_ITEMS, 0, -1)[None, :].repeat(N_CUSTOMERS, 0), 1)
        first = scores > N_ITEMS - k
        _near(precision, precision_score(taken, first, average="samples", zero_division=0), 1e-12)
        _near(recall, recall_score(taken, first, average="samples", zero_division=0), 1e-12)
        _near(ndcg, ndcg_score(taken, scores, k=k), 1e-12)
        if k == N_ITEMS:
            _near(mean, np.mean([average_precision_score(taken[c], scores[c]) for c in range(N_CUSTOMERS)]), 1e-12)
        train, test = csr_matrix((N_CUSTOMERS, N_ITEMS)), csr_matrix(taken.astype(float))
        theirs = ranking_metrics_at_k(_Ranking(ranked), train, test, K=k, show_progress=False, num_threads=1)
        _near((ndcg, mean_at_k), (theirs["ndcg"], theirs["map"]), 1e-6)
