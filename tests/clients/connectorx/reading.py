"""connectorx: a query cut into parts that are read at once by binary COPY."""

import urllib.parse

import connectorx as cx

from server import DATABASE, ENDLESS, HOST, PASSWORD, PORT, USER, becomes_idle, raises, same


def _url(**options):
    words = urllib.parse.urlencode(options)
    return f"postgresql://{USER}:{urllib.parse.quote(PASSWORD)}@{HOST}:{PORT}/{DATABASE}" + (f"?{words}" if words else "")


def _read(sql, **options):
    return cx.read_sql(_url(), sql, return_type="arrow", **options)


def _told(table):
    lines = [f"{field.name}: {field.type}" for field in table.schema]
    return "\n".join(lines + [str(row) for row in table.to_pylist()])


def a_query_is_read():  # connect
    return _told(_read("SELECT id, name, area, opened, is_open FROM shops ORDER BY id"))


def it_reads_over_tls():  # tls
    table = cx.read_sql(_url(sslmode="require"), "SELECT id FROM shops", return_type="arrow")
    same(table.num_rows, 5)


def a_table_is_read_in_parts():  # streaming
    table = _read("SELECT id, shop_id, amount FROM sales", partition_on="id", partition_num=4)
    same(sorted(table.column("id").to_pylist()), list(range(1, 1001)))


def a_range_is_cut_into_parts():  # streaming
    table = _read("SELECT id FROM sales", partition_on="id", partition_range=(1, 1000), partition_num=3)
    same(table.num_rows, 1000)


def queries_are_read_together():  # streaming
    table = _read(["SELECT id FROM sales WHERE shop_id = 1", "SELECT id FROM sales WHERE shop_id = 2"])
    same(table.num_rows, 400)


def every_protocol_reads_the_same():  # copy
    sql = "SELECT id, shop_id, quantity, note FROM sales ORDER BY id"
    answers = [_told(_read(sql, protocol=protocol)) for protocol in ["binary", "csv", "cursor"]]
    same(answers[1], answers[0])
    same(answers[2], answers[0])


def every_type_is_read():  # types
    columns = ("id, a_boolean, a_smallint, an_integer, a_bigint, a_real, a_double, a_text, a_varchar, a_bytea, a_date, a_time, "
               "a_timestamp, a_timestamptz, a_uuid, a_json, a_jsonb")
    return _told(_read(f"SELECT {columns} FROM every_type ORDER BY id"))


def numerics_are_read():  # types
    return _told(_read("SELECT a_numeric, a_numeric + 1 AS more FROM every_type WHERE id < 3 ORDER BY id"))


def aggregates_are_read():  # queries
    return _told(_read("SELECT shop_id, count(*) AS n, max(sold_at) AS last FROM sales GROUP BY shop_id ORDER BY shop_id"))


def the_history_is_read():  # queries
    same(_read("SELECT customer_id, occurred_at, channel, amount FROM interactions").num_rows, 2000)


def an_empty_result_has_its_columns():  # metadata
    return _told(_read("SELECT id, name FROM shops WHERE id < 0"))


def an_error_is_told():  # errors
    error = raises(RuntimeError, _read, "SELECT * FROM nowhere")
    assert "nowhere" in str(error) or "db error" in str(error), error


def a_wrong_password_is_refused():  # password
    error = raises(RuntimeError, cx.read_sql, f"postgresql://{USER}:wrong@{HOST}:{PORT}/{DATABASE}", "SELECT 1", return_type="arrow")
    assert "password authentication failed" in str(error) or "db error" in str(error), error


def settings_are_made_first():  # settings
    zone = _read("SELECT current_setting('TimeZone') AS zone", pre_execution_query="SET TimeZone = 'Asia/Tokyo'")
    same(zone.to_pylist(), [{"zone": "Asia/Tokyo"}])


def a_statement_timeout_ends_the_work():  # timeout
    raises(RuntimeError, _read, ENDLESS, pre_execution_query="SET statement_timeout = 300")
    becomes_idle()
