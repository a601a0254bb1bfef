"""DuckDB's postgres scanner: a database attached by catalogue queries, read and written by binary COPY."""

import os

import duckdb
import duckdb_extension_postgres_scanner

from server import DATABASE, ENDLESS, HOST, PASSWORD, PORT, USER, becomes_idle, raises, same


def _word(text):
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"


def _attached(options="", more=""):
    db = duckdb.connect(config={"allow_unsigned_extensions": True})
    folder = os.path.dirname(duckdb_extension_postgres_scanner.__file__)
    file = next(os.path.join(path, name) for path, _, names in os.walk(folder) for name in names
                if name.endswith(".duckdb_extension"))
    db.execute(f"LOAD '{file}'")
    dsn = f"host={HOST} port={PORT} user={USER} password={_word(PASSWORD)} dbname={DATABASE} {more}"
    db.execute("ATTACH '" + dsn.replace("'", "''") + f"' AS pg (TYPE postgres{options})")
    return db


def _ask(sql, options=""):
    return _attached(options).execute(sql).fetchall()


def _told(sql):
    result = _attached().execute(sql)
    lines = [f"{column[0]}: {column[1]}" for column in result.description]
    return "\n".join(lines + [str(row) for row in result.fetchall()])


def tls_is_verified():  # tls
    same(_attached(more="sslmode=verify-full").execute("SELECT count(*) FROM pg.regions").fetchone()[0] > 0, True)
    error = raises(duckdb.Error, _attached, more="sslmode=verify-full sslrootcert=/nowhere")
    assert "does not exist" in str(error), error


def it_attaches_and_lists_tables():  # connect, metadata
    seen = {row[2] for row in _ask("SHOW ALL TABLES")}
    assert {"interactions", "shops", "shop_totals", "arrivals", "Odd Näme"} <= seen, seen


def a_table_is_described():  # metadata
    return _told("DESCRIBE pg.every_type") + _told("DESCRIBE pg.shops")


def a_table_is_read():  # queries, copy
    return _told("SELECT * FROM pg.shops ORDER BY id")


def every_type_is_read():  # types
    return _told("SELECT * REPLACE (epoch_us(a_timestamptz) AS a_timestamptz) FROM pg.every_type ORDER BY id")


def a_view_is_read():  # queries
    return _told("SELECT * FROM pg.shop_totals ORDER BY shop_id")


def another_schema_is_read():  # queries
    same(_ask("SELECT id, payload FROM pg.staging.arrivals ORDER BY id"), [(1, "one"), (2, "two")])


def odd_names_are_read():  # queries
    same(_ask('SELECT "with space", "with.dot", "Quote""d", "#hash" FROM pg."Odd Näme"'), [(1, "dot", "quote", "hash")])


def filters_are_pushed_down():  # queries
    same(_ask("SELECT count(*), sum(amount) FROM pg.sales WHERE shop_id = 2 AND epoch_us(sold_at) >= 1709251200000000 "
              "AND note LIKE 'sale%'")[0][0], 152)


def tables_are_joined_and_grouped():  # queries
    return _told("SELECT r.name, count(*) AS n, sum(x.amount) AS total FROM pg.sales x JOIN pg.shops s ON s.id = x.shop_id "
                 "JOIN pg.regions r ON r.id = s.region_id GROUP BY r.name ORDER BY r.name")


def the_history_is_read():  # queries
    same(_ask("SELECT count(*), count(DISTINCT interaction_id) FROM pg.interactions"), [(2000, 2000)])


def postgres_query_passes_a_query_on():  # queries
    same(_ask("SELECT * FROM postgres_query('pg', 'SELECT id, name FROM shops WHERE id < 3 ORDER BY id')"),
         [(1, "Harbour"), (2, "Market")])


def postgres_execute_runs_a_statement():  # writing
    db = _attached()
    db.execute("CALL postgres_execute('pg', 'CREATE TABLE k_executed (a int)')")
    db.execute("CALL postgres_execute('pg', 'DROP TABLE k_executed')")


def a_table_is_made_and_filled():  # definitions, copy
    db = _attached()
    db.execute("CREATE TABLE pg.k_made (a INTEGER, b VARCHAR, c DOUBLE, d DATE, e TIMESTAMP)")
    db.execute("INSERT INTO pg.k_made SELECT i, 'row ' || i, i / 2, DATE '2024-01-01' + i::INTEGER, "
               "TIMESTAMP '2024-01-01 01:02:03' FROM range(100) AS t(i)")
    same(db.execute("SELECT count(*), sum(a), max(b), max(d) FROM pg.k_made").fetchall()[0][:3], (100, 4950, "row 99"))
    db.execute("DROP TABLE pg.k_made")


def a_table_is_made_of_a_query():  # definitions
    db = _attached()
    db.execute("CREATE TABLE pg.k_copied AS SELECT id, name FROM pg.shops")
    same(db.execute("SELECT count(*) FROM pg.k_copied").fetchall(), [(5,)])
    db.execute("DELETE FROM pg.k_copied WHERE id > 3")
    same(db.execute("SELECT count(*) FROM pg.k_copied").fetchall(), [(3,)])
    db.execute("DROP TABLE pg.k_copied")


def a_transaction_sees_one_moment():  # transactions
    db = _attached()
    db.execute("BEGIN")
    same(db.execute("SELECT count(*) FROM pg.sales").fetchall(), [(1000,)])
    same(db.execute("SELECT count(*) FROM pg.shops").fetchall(), [(5,)])
    db.execute("COMMIT")


def it_attaches_for_reading_only():  # transactions
    db = _attached(", READ_ONLY")
    same(db.execute("SELECT count(*) FROM pg.shops").fetchall(), [(5,)])
    raises(duckdb.Error, db.execute, "CREATE TABLE pg.k_never (a INTEGER)")


def the_text_protocol_reads_the_same():  # copy
    db = _attached()
    sql = "SELECT id, shop_id, amount, quantity, note FROM pg.sales ORDER BY id"
    binary = db.execute(sql).fetchall()
    db.execute("SET pg_use_text_protocol = true")
    same(db.execute(sql).fetchall(), binary)


def an_error_is_told():  # errors
    error = raises(duckdb.Error, _ask, "SELECT * FROM postgres_query('pg', 'SELECT * FROM nowhere')")
    assert 'relation "nowhere" does not exist' in str(error), error


def a_wrong_password_is_refused():  # password
    error = raises(duckdb.Error, _attached, more="password=wrong")
    assert "password authentication failed" in str(error), error


def rows_are_read_by_several_connections():  # streaming, pools
    db = _attached()
    db.execute("SET pg_connection_limit = 4")
    db.execute("SET pg_pages_per_task = 1")
    same(db.execute("SELECT count(*), sum(id) FROM pg.sales").fetchall(), [(1000, 500500)])
    rows = db.execute("SELECT id FROM pg.sales")
    same(len(rows.fetchmany(10)), 10)
    rows.close()


def settings_of_the_connection_hold():  # settings
    db = _attached(more="application_name=check options='-c TimeZone=Asia/Tokyo'")
    same(db.execute("SELECT * FROM postgres_query('pg', 'SELECT current_setting(''application_name'') AS name, "
                    "current_setting(''TimeZone'') AS zone')").fetchall(), [("check", "Asia/Tokyo")])


def a_statement_timeout_ends_the_work():  # timeout
    db = _attached(more="options='-c statement_timeout=300'")
    error = raises(duckdb.Error, lambda: db.execute(f"SELECT * FROM postgres_query('pg', '{ENDLESS}')").fetchall())
    assert "canceling statement due to statement timeout" in str(error), error
    becomes_idle()


def a_transaction_is_rolled_back():  # transactions
    db = _attached()
    db.execute("CREATE TABLE pg.k_rolled (a INTEGER)")
    db.execute("BEGIN")
    db.execute("INSERT INTO pg.k_rolled VALUES (1)")
    same(db.execute("SELECT count(*) FROM pg.k_rolled").fetchall(), [(1,)])
    db.execute("ROLLBACK")
    same(db.execute("SELECT count(*) FROM pg.k_rolled").fetchall(), [(0,)])
    db.execute("DROP TABLE pg.k_rolled")


def a_view_is_made_and_a_column_added():  # definitions
    db = _attached()
    db.execute("CREATE TABLE pg.k_changed (a INTEGER)")
    db.execute("ALTER TABLE pg.k_changed ADD COLUMN b VARCHAR")
    db.execute("INSERT INTO pg.k_changed VALUES (1, 'x')")
    same(db.execute("SELECT * FROM pg.k_changed").fetchall(), [(1, "x")])
    db.execute("ALTER TABLE pg.k_changed RENAME COLUMN b TO c")
    same([row[0] for row in db.execute("DESCRIBE pg.k_changed").fetchall()], ["a", "c"])
    db.execute("DROP TABLE pg.k_changed")
