"""ADBC's PostgreSQL driver: Arrow tables out of binary COPY, and into it."""

import datetime
import decimal
import os
import threading
import urllib.parse

import adbc_driver_postgresql.dbapi as adbc
import pyarrow as pa

from server import DATABASE, ENDLESS, HOST, PASSWORD, PORT, USER, becomes_idle, raises, same


def _connect(autocommit=False, password=PASSWORD, options=""):
    quoted = urllib.parse.quote(password)
    return adbc.connect(f"postgresql://{USER}:{quoted}@{HOST}:{PORT}/{DATABASE}{options}", autocommit=autocommit)


def _table(sql, parameters=None):
    with _connect() as c, c.cursor() as cursor:
        cursor.execute(sql, parameters)
        return cursor.fetch_arrow_table()


def _told(table):
    lines = [f"{field.name}: {field.type}" for field in table.schema]
    return "\n".join(lines + [str(row) for row in table.to_pylist()])


def it_connects():  # connect
    same(_table("SELECT 1 AS one").to_pylist(), [{"one": 1}])


def a_wrong_password_is_refused():  # password
    error = raises(adbc.Error, _connect, password="wrong")
    assert "password authentication failed" in str(error), error


def tls_is_verified():  # tls
    with _connect(options="?sslmode=verify-full") as c, c.cursor() as cursor:
        cursor.execute("SELECT 1 AS one")
        same(cursor.fetchone(), (1,))
    error = raises(adbc.Error, _connect, options="?sslmode=verify-full&sslrootcert=/nowhere")
    assert "does not exist" in str(error), error


def every_type_becomes_an_arrow_column():  # types
    return _told(_table("SELECT * FROM every_type ORDER BY id"))


def a_query_becomes_a_table():  # queries
    return _told(_table("SELECT s.name, count(*) AS n, sum(x.amount) AS total, avg(x.quantity) AS mean, min(x.sold_at) AS first "
                        "FROM shops s JOIN sales x ON x.shop_id = s.id GROUP BY s.name ORDER BY s.name"))


def many_rows_arrive_in_batches():  # streaming
    with _connect() as c, c.cursor() as cursor:
        cursor.execute("SELECT a.source_id, a.occurred_at, a.amount, b.quantity FROM interactions a, interactions b "
                       "WHERE b.quantity = 1")
        rows = sum(batch.num_rows for batch in cursor.fetch_record_batch())
        cursor.execute("SELECT 2000 * count(*) FROM interactions WHERE quantity = 1")
        same(rows, cursor.fetchone()[0])


def the_history_arrives():  # queries
    table = _table("SELECT * FROM interactions")
    same(table.num_rows, 2000)
    same([str(table.schema.field(name).type) for name in ["customer_id", "occurred_at", "channel", "score"]],
         ["int64", "timestamp[us, tz=UTC]", "string", "double"])


def an_empty_result_has_its_columns():  # metadata
    return _told(_table("SELECT id, name, area, opened FROM shops WHERE id < 0"))


def parameters_are_taken():  # parameters
    same(_table("SELECT id, name FROM shops WHERE id = $1 AND name = $2", (3, "Station")).to_pylist(),
         [{"id": 3, "name": "Station"}])


def parameters_of_an_arrow_batch_are_taken():  # parameters, prepared
    with _connect() as c, c.cursor() as cursor:
        cursor.adbc_prepare("SELECT $1::int + 1 AS n")
        cursor.execute("SELECT $1::int + 1 AS n", pa.record_batch({"p": pa.array([1, 2, 3], pa.int32())}))
        same(cursor.fetch_arrow_table().to_pydict(), {"n": [2, 3, 4]})


def a_statement_s_schema_is_told():  # metadata
    with _connect() as c, c.cursor() as cursor:
        schema = cursor.adbc_execute_schema("SELECT id, area, opened, name FROM shops")
        return "\n".join(f"{field.name}: {field.type}" for field in schema)


def a_table_s_schema_is_told():  # metadata
    with _connect() as c:
        return "\n".join(f"{field.name}: {field.type}" for field in c.adbc_get_table_schema("every_type"))


def objects_are_listed():  # metadata
    with _connect() as c:
        tree = c.adbc_get_objects(depth="all", db_schema_filter="staging", catalog_filter=DATABASE).read_all().to_pylist()
        schemas = tree[0]["catalog_db_schemas"]
        same([schema["db_schema_name"] for schema in schemas], ["staging"])
        tables = schemas[0]["db_schema_tables"]
        same([(table["table_name"], table["table_type"]) for table in tables], [("arrivals", "table")])
        same([column["column_name"] for column in tables[0]["table_columns"]], ["id", "payload"])


def keys_are_listed():  # metadata
    with _connect() as c:
        tree = c.adbc_get_objects(depth="all", db_schema_filter="public", table_name_filter="sh%",
                                  catalog_filter=DATABASE).read_all().to_pylist()
        told = []
        for table in tree[0]["catalog_db_schemas"][0]["db_schema_tables"]:
            for constraint in table["table_constraints"]:
                told.append(f"{table['table_name']} {constraint}".replace(DATABASE, "here"))
        return "\n".join(sorted(told))


def table_types_are_listed():  # metadata
    with _connect() as c:
        return sorted(c.adbc_get_table_types())


def a_table_is_ingested_by_copy():  # copy
    data = pa.table({
        "a": pa.array([1, 2, None], pa.int64()), "b": pa.array(["x", None, "ü"]), "c": pa.array([0.5, None, -1.0]),
        "d": pa.array([True, False, None]), "e": pa.array([datetime.date(2024, 2, 29), None, datetime.date(1900, 1, 1)]),
        "f": pa.array([datetime.datetime(2024, 2, 29, 1, 2, 3, 4), None, None], pa.timestamp("us")),
        "g": pa.array([b"\x00\xff", None, b""]),
    })
    with _connect() as c, c.cursor() as cursor:
        same(cursor.adbc_ingest("b_ingested", data, mode="create"), 3)
        c.commit()
        cursor.execute("SELECT * FROM b_ingested ORDER BY a")
        got = cursor.fetch_arrow_table()
        same(got.to_pylist(), data.to_pylist())
        cursor.adbc_ingest("b_ingested", data, mode="append")
        cursor.execute("SELECT count(*) FROM b_ingested")
        same(cursor.fetchone()[0], 6)
        c.rollback()
        cursor.execute("SELECT count(*) FROM b_ingested")
        same(cursor.fetchone()[0], 3)
        cursor.execute("DROP TABLE b_ingested")
        c.commit()


def decimals_keep_their_digits():  # types
    same(_table("SELECT a_numeric FROM every_type ORDER BY id").column(0).to_pylist(),
         ["12345678901234.5678", "-0.0001", None])


def errors_carry_their_sqlstate():  # errors
    for sql, code in [("SELECT * FROM nowhere", "42P01"), ("SELECT nothing FROM shops", "42703"), ("SELECT 1/0 AS x", "22012")]:
        same(raises(adbc.Error, _table, sql).sqlstate, code)


def an_error_in_the_middle_of_copy_is_told():  # copy, errors
    error = raises(adbc.Error, _table, "SELECT 1 / (id - 900) AS x FROM sales")
    assert "division by zero" in str(error), error


def rows_are_written_and_counted():  # writing
    with _connect(autocommit=True) as c, c.cursor() as cursor:
        cursor.execute("CREATE TABLE b_written (a int, b text)")
        cursor.executemany("INSERT INTO b_written VALUES ($1, $2)", [(1, "x"), (2, "y"), (3, None)])
        same(cursor.rowcount, 3)
        cursor.execute("DELETE FROM b_written WHERE a > 1 RETURNING a")
        same(sorted(cursor.fetchall()), [(2,), (3,)])
        cursor.execute("DROP TABLE b_written")


def tables_are_made_and_dropped():  # definitions
    with _connect(autocommit=True) as c, c.cursor() as cursor:
        cursor.execute("CREATE TABLE b_made (a int, b numeric(8,2))")
        cursor.execute("CREATE VIEW b_view AS SELECT a + 1 AS more FROM b_made")
        told = [f"{field.name}: {field.type}" for name in ["b_made", "b_view"] for field in c.adbc_get_table_schema(name)]
        cursor.execute("DROP VIEW b_view")
        cursor.execute("DROP TABLE b_made")
        return told


def a_temporary_table_is_of_the_session():  # temporary
    data = pa.table({"a": pa.array([1, 2], pa.int64())})
    with _connect() as c, c.cursor() as cursor:
        cursor.adbc_ingest("b_temporary", data, mode="create", temporary=True)
        c.commit()
        cursor.execute("SELECT sum(a)::bigint FROM b_temporary")
        same(cursor.fetchone(), (3,))
        same(raises(adbc.Error, _table, "SELECT * FROM b_temporary").sqlstate, "42P01")


def a_transaction_is_rolled_back():  # transactions
    with _connect() as c, c.cursor() as cursor:
        cursor.execute("CREATE TABLE b_rolled (a int)")
        c.commit()
        cursor.execute("INSERT INTO b_rolled VALUES (1)")
        cursor.execute("SAVEPOINT here")
        cursor.execute("INSERT INTO b_rolled VALUES (2)")
        cursor.execute("ROLLBACK TO SAVEPOINT here")
        c.commit()
        cursor.execute("INSERT INTO b_rolled VALUES (4)")
        c.rollback()
        cursor.execute("SELECT sum(a) AS n FROM b_rolled")
        same(cursor.fetchone(), (1,))
        cursor.execute("DROP TABLE b_rolled")
        c.commit()


def cancel_stops_the_work():  # cancel
    with _connect() as c, c.cursor() as cursor:
        timer = threading.Timer(0.5, cursor.adbc_cancel)
        timer.start()

        def all_of_it():
            cursor.execute(ENDLESS)
            cursor.fetchall()

        raises(adbc.Error, all_of_it)
        timer.join()
    becomes_idle()


def a_statement_timeout_ends_the_work():  # timeout
    with _connect(autocommit=True) as c, c.cursor() as cursor:
        cursor.execute("SET statement_timeout = 300")

        def all_of_it():
            cursor.execute(ENDLESS)
            cursor.fetchall()

        same(raises(adbc.Error, all_of_it).sqlstate, "57014")
    becomes_idle()


def settings_hold():  # settings
    with _connect(options="?application_name=a%20check&options=-c%20TimeZone%3DAsia/Tokyo") as c, c.cursor() as cursor:
        cursor.execute("SELECT current_setting('application_name'), current_setting('TimeZone')")
        same(cursor.fetchone(), ("a check", "Asia/Tokyo"))
