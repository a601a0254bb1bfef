"""Models through psqlODBC: made, refreshed and read as Excel reads them."""

import os

import pyodbc

from server import DATABASE, ENGINE, HOST, PASSWORD, PORT, PURCHASES, USER, raises, same, skip

pyodbc.pooling = False
BOTH = [{}, {"UseDeclareFetch": 1, "Fetch": 100}]


def _connect(autocommit=True, **options):
    options = {"DRIVER": os.environ["PSQLODBC"], "SERVER": HOST, "PORT": PORT, "DATABASE": DATABASE, "UID": USER,
               "PWD": "{" + PASSWORD + "}", **options}
    c = pyodbc.connect(";".join(f"{name}={value}" for name, value in options.items()), autocommit=autocommit)
    c.setdecoding(pyodbc.SQL_CHAR, encoding="utf-8")
    c.setencoding(encoding="utf-8")
    return c


class _Model:
    """A clv model over a table of its own, and a connection."""

    def __init__(self, name, **options):
        if ENGINE == "postgres":
            skip("PostgreSQL has no models")
        self.name, self.c = name, _connect(**options)

    def __enter__(self):
        self._drop()
        self.c.execute(PURCHASES.format(table=f"{self.name}_purchases", times=1))
        self.c.execute(f"CREATE MODEL {self.name} TYPE clv OPTIONS (horizon = 90, scores = {self.name}) "
                       f"AS SELECT * FROM {self.name}_purchases WITH NO DATA")
        # Before the last 90 days: the next version can be judged beside it.
        self.c.execute(f"REFRESH MODEL {self.name} AS OF '2025-09-30'")
        return self.c

    def __exit__(self, *_):
        self._drop()
        self.c.close()

    def _drop(self):
        self.c.execute(f"DROP MODEL IF EXISTS {self.name}")
        self.c.execute(f"DROP TABLE IF EXISTS {self.name}_purchases")


def a_model_is_made_refreshed_and_read():  # models
    for options in BOTH:
        with _Model("o_worth", **options) as c:
            row = c.execute("REFRESH MODEL o_worth").fetchone()
            same((row[0], row[1], row[2]), ("o_worth", 2, 600))
            same(tuple(c.execute("SELECT count(*), max(version) FROM scores.o_worth").fetchone()), (600, 2))
            shown = c.execute("SELECT * FROM show_models()").fetchall()
            assert ("o_worth", 2) in [(row[0], row[2]) for row in shown], shown
            same(len(c.execute("SELECT * FROM scores.o_worth").fetchall()), 600)


def parameters_are_texts_and_numbers():  # models
    with _Model("o_given") as c:
        row = c.execute("SELECT * FROM refresh_model(?, ?)", "o_given", "2025-12-01").fetchone()
        same(row[1], 2)
        row = c.execute("SELECT * FROM promote_model(?, ?, ?)", "o_given", 1, "to try").fetchone()
        same(row[1], 1)


def a_transaction_is_no_place_for_it():  # models
    with _Model("o_block"):
        c = _connect(autocommit=False)
        same(raises(pyodbc.Error, c.execute, "REFRESH MODEL o_block").args[0], "25001")
        c.rollback()
        c.close()
