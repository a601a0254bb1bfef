"""connectorx: a query cut into parts that are read at once by binary COPY."""

import urllib.parse

import connectorx as cx

from server import DATABASE, HOST, PASSWORD, PORT, USER, raises, same


def _url(**options):
    words = urllib.parse.urlencode(options)
    return f"postgresql://{USER}:{urllib.parse.quote(PASSWORD)}@{HOST}:{PORT}/{DATABASE}" + (f"?{words}" if words else "")


def _read(sql, **options):
    return cx.read_sql(_url(), sql, return_type="arrow", **options)


def _told(table):
    lines = [f"{field.name}: {field.type}" for field in table.schema]
    return "\n".join(lines + [str(row) for row in table.to_pylist()])


def a_query_is_read():
    return _told(_read("SELECT id, name, area, opened, is_open FROM shops ORDER BY id"))


def it_reads_over_tls():
    table = cx.read_sql(_url(sslmode="require"), "SELECT id FROM shops", return_type="arrow")
    same(table.num_rows, 5)


def a_table_is_read_in_parts():
    table = _read("SELECT id, shop_id, amount FROM sales", partition_on="id", partition_num=4)
    same(sorted(table.column("id").to_pylist()), list(range(1, 1001)))


def a_range_is_cut_into_parts():
    table = _read("SELECT id FROM sales", partition_on="id", partition_range=(1, 1000), partition_num=3)
    same(table.num_rows, 1000)


def queries_are_read_together():
    table = _read(["SELECT id FROM sales WHERE shop_id = 1", "SELECT id FROM sales WHERE shop_id = 2"])
    same(table.num_rows, 400)


def every_protocol_reads_the_same():
    sql = "SELECT id, shop_id, quantity, note FROM sales ORDER BY id"
    answers = [_told(_read(sql, protocol=protocol)) for protocol in ["binary", "csv", "cursor"]]
    same(answers[1], answers[0])
    same(answers[2], answers[0])


def every_type_is_read():
    columns = ("id, a_boolean, a_smallint, an_integer, a_bigint, a_real, a_double, a_text, a_varchar, a_bytea, a_date, a_time, "
               "a_timestamp, a_timestamptz, a_uuid, a_json, a_jsonb")
    return _told(_read(f"SELECT {columns} FROM every_type ORDER BY id"))


def numerics_are_read():
    return _told(_read("SELECT a_numeric, a_numeric + 1 AS more FROM every_type WHERE id < 3 ORDER BY id"))


def aggregates_are_read():
    return _told(_read("SELECT shop_id, count(*) AS n, max(sold_at) AS last FROM sales GROUP BY shop_id ORDER BY shop_id"))


def the_history_is_read():
    same(_read("SELECT customer_id, occurred_at, channel, amount FROM interactions").num_rows, 2000)


def an_empty_result_has_its_columns():
    return _told(_read("SELECT id, name FROM shops WHERE id < 0"))


def an_error_is_told():
    error = raises(RuntimeError, _read, "SELECT * FROM nowhere")
    assert "nowhere" in str(error) or "db error" in str(error), error
