"""Models in Npgsql: made, refreshed and read as Power BI reads them."""

from _dotnet import command, connect, rows, run, sqlstate, value
from server import ENGINE, PURCHASES, same, skip


class _Model:
    """A clv model over a table of its own, and a connection."""

    def __init__(self, name):
        if ENGINE == "postgres":
            skip("PostgreSQL has no models")
        self.name, self.c = name, connect(Pooling="false")

    def __enter__(self):
        self._drop()
        run(self.c, PURCHASES.format(table=f"{self.name}_purchases", times=1))
        run(self.c, f"CREATE MODEL {self.name} TYPE clv OPTIONS (horizon = 90, scores = {self.name}) "
                    f"AS SELECT * FROM {self.name}_purchases WITH NO DATA")
        # Before the last 90 days: the next version can be judged beside it.
        run(self.c, f"REFRESH MODEL {self.name} AS OF '2025-09-30'")
        return self.c

    def __exit__(self, *_):
        self._drop()
        self.c.Close()

    def _drop(self):
        run(self.c, f"DROP MODEL IF EXISTS {self.name}")
        run(self.c, f"DROP TABLE IF EXISTS {self.name}_purchases")


def _ask(c, sql, *parameters):
    reader = command(c, sql, *parameters).ExecuteReader()
    found = rows(reader)
    reader.Close()
    return found


def a_model_is_made_refreshed_and_read():  # models
    with _Model("n_worth") as c:
        said = []
        c.Notice += lambda _, notice: said.append(str(notice.Notice.MessageText))
        row = _ask(c, "REFRESH MODEL n_worth")[0]
        same((row[0], row[1], row[2], row[10]), ("n_worth", 2, 600, True))
        assert any("n_worth: fitting (phase 2 of " in line for line in said), said
        same(_ask(c, "SELECT count(*), max(version) FROM scores.n_worth"), [[600, 2]])
        same(_ask(c, "SELECT version FROM models.models WHERE model = 'n_worth'"), [[2]])
        same(value(c, "SELECT bool_and(clv = clv('n_worth', customer_id)) FROM scores.n_worth"), True)


def parameters_are_of_their_own_types():  # models
    with _Model("n_given") as c:
        same(_ask(c, "SELECT * FROM refresh_model(@p0, @p1)", "n_given", "2025-12-01")[0][1], 2)
        same(_ask(c, "SELECT * FROM promote_model(@p0, @p1, @p2)", "n_given", 1, "to try")[0][1], 1)
        prepared = command(c, "SELECT * FROM describe_model(@p0)", "n_given")
        prepared.Prepare()
        reader = prepared.ExecuteReader()
        same([reader.GetName(i) for i in range(reader.FieldCount)], ["part", "name", "value"])
        assert ["model", "version in use", "1"] in rows(reader)
        reader.Close()


def a_transaction_is_no_place_for_it():  # models
    with _Model("n_block") as c:
        transaction = c.BeginTransaction()
        same(sqlstate(lambda: run(c, "REFRESH MODEL n_block")), "25001")
        transaction.Rollback()
        same(sqlstate(lambda: run(c, "REFRESH MODEL nobody")), "42704")
