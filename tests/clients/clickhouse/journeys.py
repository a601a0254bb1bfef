"""ClickHouse itself (chdb, in this process) and Rapport are asked the same of journeys that chance has drawn."""

import json
import random
from itertools import combinations

import chdb
import psycopg

from server import DATABASE, ENGINE, HOST, PASSWORD, PORT, USER, skip

N_JOURNEYS = 2000
MODES = ["strict_order", "strict_deduplication", "strict_increase", "strict_once", "allow_reentry"]
PATTERNS = [
    "", "(?1)", "(?1)(?2)", "(?1)(?2)(?3)", "(?2)(?2)", "(?1).(?3)", "(?1)..(?2)", "(?1).*(?2)", "(?1).*(?2).*(?3)",
    "(?3).*(?1)(?2)", ".(?2)", "(?1).*", "(?1)(?t<=3)(?2)", "(?1)(?t<3)(?2)", "(?1)(?t>=3)(?2)", "(?1)(?t>3)(?2)",
    "(?1)(?t==2)(?2)", "(?1).*(?t<=5)(?2)", "(?1).*(?2)(?t>2)(?3)", "(?1)(?t<=4)(?2)(?t<=4)(?3)",
]
DIRECTIONS = {"forward": ["head", "first_match", "last_match"], "backward": ["tail", "first_match", "last_match"]}


def _drawn(seed, shortest_pause):
    """Customers, seconds, pages and the conditions met, as bits; shuffled."""
    chance = random.Random(seed)
    rows = []
    for customer in range(N_JOURNEYS):
        second = chance.randrange(5)
        for _ in range(chance.randint(1, 12)):
            rows.append((customer, second, chance.choice("abcd"), chance.choice([0, 1, 1, 2, 2, 4, 4, 3, 5, 6, 7])))
            second += chance.randint(shortest_pause, 4)
    chance.shuffle(rows)
    return rows


def _theirs(questions, rows):
    conditions = ", ".join(f"bitAnd(bits, {1 << n}) > 0 AS c{n + 1}" for n in range(3))
    values = ", ".join(map(str, rows))
    answers = chdb.query(
        f"SELECT customer, {', '.join(questions)} FROM (SELECT *, {conditions} FROM "
        f"values('customer UInt32, moment UInt32, page String, bits UInt8', {values})) GROUP BY customer ORDER BY customer "
        "SETTINGS allow_experimental_funnel_functions = 1, max_query_size = 0", "JSONCompactEachRow")
    return [json.loads(line) for line in str(answers).splitlines()]


def _ours(questions, rows):
    conditions = ", ".join(f"bits & {1 << n} > 0 AS c{n + 1}" for n in range(3))
    values = ", ".join(map(str, rows))
    with psycopg.connect(host=HOST, port=PORT, user=USER, password=PASSWORD, dbname=DATABASE) as connection:
        return connection.execute(
            f"SELECT customer, {', '.join(questions)} FROM (SELECT *, {conditions} FROM "
            f"(VALUES {values}) AS drawn (customer, moment, page, bits)) AS met GROUP BY customer ORDER BY customer").fetchall()


def _compare(questions, seed, shortest_pause=1):
    """Of each question, ClickHouse's words and Rapport's; `c1`, `c2` and `c3` are the conditions."""
    if ENGINE == "postgres":
        skip("PostgreSQL has no functions of journeys")
    rows = _drawn(seed, shortest_pause)
    theirs = _theirs([question for question, _ in questions], rows)
    ours = _ours([question for _, question in questions], rows)
    assert len(theirs) == len(ours) == N_JOURNEYS, (len(theirs), len(ours))
    for their_row, our_row in zip(theirs, ours):
        for (_, question), their, our in zip(questions, their_row[1:], our_row[1:]):
            journey = sorted(row[1:] for row in rows if row[0] == our_row[0]) if their != our else None
            assert their == our, f"{question}: ClickHouse {their!r}, Rapport {our!r}, of {journey}"


def _funnels(are_combined):
    """In every combination of modes of which that is true; to re-enter means something in strict order only."""
    questions = []
    for n in range(len(MODES) + 1):
        for modes in combinations(MODES, n):
            if ("allow_reentry" not in modes or "strict_order" in modes) and are_combined(modes):
                for window in (0, 3, 8):
                    named = "".join(f", '{mode}'" for mode in modes)
                    questions.append((f"windowFunnel({window}{named})(moment, c1, c2, c3)",
                                      f"window_funnel({window}, '{','.join(modes)}', moment, c1, c2, c3)"))
    return questions


def funnels_of_different_moments():  # queries
    _compare(_funnels(lambda modes: True), 1)


def funnels_of_equal_moments():  # queries
    # With both of these, ClickHouse's own answer depends on the order of the rows.
    _compare(_funnels(lambda modes: not {"strict_deduplication", "strict_once"} <= {*modes}), 2, shortest_pause=0)


def sequences_match():  # queries
    _compare([(f"sequenceMatch('{p}')(moment, c1, c2, c3)", f"sequence_match('{p}', moment, c1, c2, c3)") for p in PATTERNS], 3)


def sequences_are_counted():  # queries
    _compare([(f"sequenceCount('{p}')(moment, c1, c2, c3)", f"sequence_count('{p}', moment, c1, c2, c3)") for p in PATTERNS], 4)


def the_next_page_is_found():  # queries
    questions = []
    for direction, bases in DIRECTIONS.items():
        for base in bases:
            for chain in ("1 = 1, c1", "c1, c1, c2", "c3, c1", "c1, c1, c2, c3", "page = 'a', page = 'a', page = 'b'"):
                questions.append((f"sequenceNextNode('{direction}', '{base}')(moment, page, {chain})",
                                  f"sequence_next('{direction}', '{base}', moment, page, {chain})"))
    _compare(questions, 5)


def who_came_again_is_told():  # queries
    _compare([(f"retention({c})", f"retention({c})") for c in ("c1, c2", "c3, c1, c2", "c2, c2")], 6, shortest_pause=0)
