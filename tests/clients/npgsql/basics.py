"""Npgsql itself: connecting with its type loading, the pool, commands, types, cancelling."""

import time

from _dotnet import (CommandBehavior, NpgsqlConnection, NpgsqlDbType, NpgsqlException, NpgsqlParameter,
                     PostgresException, System, array_of, ask, command, connect, rows, run, sqlstate, value)
from server import ENDLESS, becomes_idle, raises, same


def it_connects_and_loads_the_types():  # connect
    c = connect(Pooling="false")
    assert str(c.PostgreSqlVersion) >= "15", c.PostgreSqlVersion
    same(value(c, "SELECT 1"), 1)
    same(value(c, "SELECT 'text'"), "text")
    c.Close()


def it_connects_over_tls():  # tls
    c = connect(Pooling="false", SSL_Mode="Require", Trust_Server_Certificate="true")
    same(value(c, "SELECT 1"), 1)
    c.Close()


def a_wrong_password_is_refused():  # password
    same(sqlstate(lambda: connect(Password="wrong", Pooling="false")), "28P01")


def the_types_are_loaded_anew():  # connect
    c = connect(Pooling="false")
    c.ReloadTypes()
    same(value(c, "SELECT ARRAY[1, 2]").Length, 2)
    c.Close()


def a_pooled_connection_is_reset():  # pools
    c = connect(Maximum_Pool_Size=1, Application_Name="pooled")
    run(c, "SET statement_timeout = '9s'")
    process = c.ProcessID
    c.Close()
    # DISCARD ALL travels with the next command.
    c.Open()
    same(c.ProcessID, process)
    same(value(c, "SHOW statement_timeout"), "0")
    c.Close()
    NpgsqlConnection.ClearPool(c)


def discard_all_can_be_asked():  # pools
    c = connect(Pooling="false")
    run(c, "SET statement_timeout = '9s'")
    run(c, "DISCARD ALL")
    same(value(c, "SHOW statement_timeout"), "0")
    c.Close()


def values_arrive_in_their_types():  # types
    c = connect(Pooling="false", Timezone="UTC")
    reader = command(c, "SELECT * FROM every_type ORDER BY id LIMIT 1").ExecuteReader()
    same([f"{reader.GetDataTypeName(i)}:{reader.GetFieldType(i).Name}" for i in range(reader.FieldCount)], [
        "integer:Int32", "boolean:Boolean", "smallint:Int16", "integer:Int32", "bigint:Int64", "real:Single",
        "double precision:Double", "numeric(18, 4):Decimal", "text:String", "character varying(20):String",
        "character(5):String", "bytea:Byte[]", "date:DateTime", "time:TimeSpan", "timestamp:DateTime",
        "timestamp with time zone:DateTime", "interval:TimeSpan", "uuid:Guid", "json:String", "jsonb:String",
        "integer[]:Array", "text[]:Array"])
    reader.Read()
    out = []
    for i in range(reader.FieldCount):
        got = reader.GetProviderSpecificValue(i)
        out.append(", ".join(str(v) for v in got) if isinstance(got, System.Array) else str(got))
    reader.Close()
    c.Close()
    return "\n".join(out)


def nulls_arrive():  # types
    c = connect(Pooling="false")
    same(ask(c, "SELECT * FROM every_type WHERE id = 3"), [[3] + [None] * 21])
    c.Close()


def parameters_of_every_type_are_taken():  # types, parameters
    c = connect(Pooling="false", Timezone="UTC")
    for kind, cast, sent, text in [
        (NpgsqlDbType.Boolean, "boolean", True, "true"), (NpgsqlDbType.Smallint, "smallint", System.Int16(-5), "-5"),
        (NpgsqlDbType.Integer, "integer", System.Int32(2147483647), "2147483647"),
        (NpgsqlDbType.Bigint, "bigint", System.Int64(2**63 - 1), str(2**63 - 1)),
        (NpgsqlDbType.Real, "real", System.Single(0.5), "0.5"), (NpgsqlDbType.Double, "double precision", 0.1, "0.1"),
        (NpgsqlDbType.Numeric, "numeric", System.Decimal.Parse("12345678.9012"), "12345678.9012"),
        (NpgsqlDbType.Text, "text", "Grüße, 漢字", "Grüße, 漢字"), (NpgsqlDbType.Varchar, "varchar", "x", "x"),
        (NpgsqlDbType.Date, "date", System.DateTime(2024, 2, 29), "2024-02-29"),
        (NpgsqlDbType.Time, "time", System.TimeSpan(1, 2, 3), "01:02:03"),
        (NpgsqlDbType.Timestamp, "timestamp", System.DateTime(2024, 2, 29, 1, 2, 3), "2024-02-29 01:02:03"),
        (NpgsqlDbType.TimestampTz, "timestamptz", System.DateTime(2024, 2, 29, 1, 2, 3, System.DateTimeKind.Utc),
         "2024-02-29 01:02:03+00"),
        (NpgsqlDbType.Interval, "interval", System.TimeSpan(2, 3, 4, 5), "2 days 03:04:05"),
        (NpgsqlDbType.Uuid, "uuid", System.Guid.Parse("00112233-4455-6677-8899-aabbccddeeff"),
         "00112233-4455-6677-8899-aabbccddeeff"),
        (NpgsqlDbType.Jsonb, "jsonb", '{"a": 1}', '{"a": 1}'), (NpgsqlDbType.Json, "json", "[1]", "[1]"),
        (array_of(NpgsqlDbType.Integer), "integer[]", System.Array[System.Int32]([1, -2]), "{1,-2}"),
        (array_of(NpgsqlDbType.Text), "text[]", System.Array[System.String](["a", "b c"]), '{a,"b c"}'),
    ]:
        parameter = NpgsqlParameter("p", kind)
        parameter.Value = sent
        same((cast, value(c, f"SELECT @p::{cast}::text", parameter)), (cast, text))
    c.Close()


def a_parameter_filters_a_scan():  # parameters
    c = connect(Pooling="false")
    same(value(c, "SELECT count(*) FROM sales WHERE shop_id = @p0 AND sold_at >= @p1 AND note LIKE @p2", 2,
               System.DateTime(2024, 6, 1), "sale%"), 78)
    c.Close()


def a_prepared_command_runs_many_times():  # prepared
    c = connect(Pooling="false")
    prepared = command(c, "SELECT sum(amount) FROM sales WHERE shop_id = @p0", 1)
    prepared.Prepare()
    for n in range(1, 6):
        prepared.Parameters[0].Value = System.Int32(n)
        assert prepared.ExecuteScalar() is not None
    same(prepared.IsPrepared, True)
    c.UnprepareAll()
    c.Close()


def statements_are_prepared_by_themselves():  # prepared
    c = connect(Pooling="false", Max_Auto_Prepare=5, Auto_Prepare_Min_Usages=2)
    for n in range(8):
        same(value(c, "SELECT @p0 + 1", n), n + 1)
    c.Close()


def several_statements_give_several_results():  # several
    c = connect(Pooling="false")
    reader = command(c, "SELECT 1; SELECT 'two'; SELECT id FROM regions ORDER BY id").ExecuteReader()
    found = [rows(reader)]
    while reader.NextResult():
        found.append(rows(reader))
    reader.Close()
    same(found, [[[1]], [["two"]], [[1], [2], [3]]])
    c.Close()


def changed_rows_are_counted():  # writing
    c = connect(Pooling="false")
    run(c, "CREATE TABLE n_counts (a int, b text)")
    same(run(c, "INSERT INTO n_counts VALUES (@p0, @p1), (2, 'y')", 1, "x"), 2)
    same(run(c, "UPDATE n_counts SET b = 'z' WHERE a = @p0", 2), 1)
    same(run(c, "DELETE FROM n_counts"), 2)
    run(c, "DROP TABLE n_counts")
    c.Close()


def a_transaction_is_rolled_back():  # transactions
    c = connect(Pooling="false")
    run(c, "CREATE TABLE n_rolled (a int)")
    transaction = c.BeginTransaction()
    run(c, "INSERT INTO n_rolled VALUES (1)")
    transaction.Rollback()
    same(value(c, "SELECT count(*) FROM n_rolled"), 0)
    transaction = c.BeginTransaction(System.Data.IsolationLevel.RepeatableRead)
    run(c, "INSERT INTO n_rolled VALUES (1)")
    transaction.Save("here")
    same(sqlstate(run, c, "SELECT 1/0"), "22012")
    transaction.Rollback("here")
    transaction.Commit()
    same(value(c, "SELECT count(*) FROM n_rolled"), 1)
    run(c, "DROP TABLE n_rolled")
    c.Close()


def errors_carry_their_sqlstate():  # errors
    c = connect(Pooling="false")
    for sql, code in [("SELECT * FROM nowhere", "42P01"), ("SELECT nothing FROM shops", "42703"), ("SELEC", "42601"),
                      ("SELECT 1/0", "22012"), ("SELECT 'x'::int", "22P02")]:
        same((sql, sqlstate(value, c, sql)), (sql, code))
    same(value(c, "SELECT 1"), 1)
    c.Close()


def a_command_timeout_drops_the_work():  # timeout
    c = connect(Pooling="false", Command_Timeout=1)
    raises(NpgsqlException, value, c, ENDLESS)
    c.Close()
    becomes_idle()


def cancel_stops_the_work():  # cancel
    c = connect(Pooling="false")
    slow = command(c, ENDLESS)
    running = slow.ExecuteScalarAsync()
    time.sleep(0.5)
    slow.Cancel()
    try:
        running.Wait(20000)
    except System.AggregateException as error:
        inner = error.InnerException
        assert isinstance(inner, PostgresException), inner
        same(inner.SqlState, "57014")
    else:
        raise AssertionError("it was not cancelled")
    same(value(c, "SELECT 1"), 1)
    c.Close()


def a_result_can_be_left_early():  # streaming
    c = connect(Pooling="false")
    reader = command(c, "SELECT source_id FROM interactions").ExecuteReader(CommandBehavior.SingleRow)
    reader.Read()
    reader.Close()
    same(value(c, "SELECT 1"), 1)
    c.Close()


def many_rows_arrive():  # streaming
    c = connect(Pooling="false")
    found = ask(c, "SELECT id, amount, note FROM sales ORDER BY id")
    same((len(found), found[9][2], found[10][2]), (1000, None, "sale 11"))
    c.Close()


def binary_export_reads_rows():  # copy
    c = connect(Pooling="false")
    reader = c.BeginBinaryExport("COPY (SELECT id, name FROM shops ORDER BY id) TO STDOUT (FORMAT BINARY)")
    found = []
    while reader.StartRow() == 2:
        found.append((reader.Read[System.Int32](), reader.Read[System.String]()))
    reader.Dispose()
    same(found, [(1, "Harbour"), (2, "Market"), (3, "Station"), (4, "Old Town"), (5, "Piotrkowska")])
    c.Close()


def binary_import_writes_rows():  # copy
    c = connect(Pooling="false")
    run(c, "CREATE TABLE n_import (a int, b text)")
    writer = c.BeginBinaryImport("COPY n_import (a, b) FROM STDIN (FORMAT BINARY)")
    for n in range(50):
        writer.StartRow()
        writer.Write[System.Int32](n)
        writer.Write[System.String](f"row {n}")
    writer.Complete()
    writer.Dispose()
    same(ask(c, "SELECT count(*), sum(a), max(b) FROM n_import"), [[50, 1225, "row 9"]])
    run(c, "DROP TABLE n_import")
    c.Close()


def text_goes_both_ways():  # copy
    c = connect(Pooling="false")
    run(c, "CREATE TABLE n_text (a int, b text)")
    writer = c.BeginTextImport("COPY n_text FROM STDIN")
    writer.Write("1\tone\n2\ttwo\n")
    writer.Dispose()
    reader = c.BeginTextExport("COPY n_text TO STDOUT (FORMAT csv)")
    same(sorted(reader.ReadToEnd().split()), ["1,one", "2,two"])
    reader.Dispose()
    run(c, "DROP TABLE n_text")
    c.Close()


def a_stranger_s_certificate_is_not_trusted():  # tls
    # This Npgsql trusts the machine's authorities, or everybody.
    raises(System.Exception, connect, Pooling="false", SSL_Mode="Require", Trust_Server_Certificate="false")


def columns_of_a_result_are_described():  # metadata
    c = connect(Pooling="false")
    reader = command(c, "SELECT e.*, 1 AS one, count(*) OVER () FROM every_type e").ExecuteReader(CommandBehavior.SchemaOnly)
    told = [f"{column.ColumnName} {column.DataTypeName} {column.TypeOID} {column.ColumnOrdinal}" for column in reader.GetColumnSchema()]
    reader.Close()
    c.Close()
    return "\n".join(told)


def a_declared_cursor_reads_in_parts():  # cursors
    c = connect(Pooling="false")
    transaction = c.BeginTransaction()
    run(c, "DECLARE parts CURSOR FOR SELECT id FROM sales ORDER BY id")
    sizes = []
    while found := ask(c, "FETCH 300 FROM parts"):
        sizes.append(len(found))
    same(sizes, [300, 300, 300, 100])
    run(c, "CLOSE parts")
    transaction.Commit()
    c.Close()


def tables_are_made_changed_and_dropped():  # definitions
    c = connect(Pooling="false")
    run(c, "CREATE TABLE n_changed (a int)")
    run(c, "ALTER TABLE n_changed ADD COLUMN b text")
    run(c, "INSERT INTO n_changed VALUES (@p0, @p1)", 1, "x")
    same(ask(c, "SELECT * FROM n_changed"), [[1, "x"]])
    run(c, "DROP TABLE n_changed")
    same(sqlstate(run, c, "SELECT * FROM n_changed"), "42P01")
    c.Close()


def a_temporary_table_is_of_the_session():  # temporary
    c, other = connect(Pooling="false"), connect(Pooling="false")
    run(c, "CREATE TEMPORARY TABLE n_temporary (a int)")
    run(c, "INSERT INTO n_temporary VALUES (@p0), (2)", 1)
    same(value(c, "SELECT sum(a) FROM n_temporary"), 3)
    same(sqlstate(value, other, "SELECT * FROM n_temporary"), "42P01")
    c.Close()
    other.Close()


def notices_are_events():  # notices
    c = connect(Pooling="false")
    told = []
    c.Notice += lambda _, event: told.append((event.Notice.Severity, event.Notice.MessageText))
    run(c, "DROP TABLE IF EXISTS n_nowhere")
    same(told, [("NOTICE", 'table "n_nowhere" does not exist, skipping')])
    c.Close()


def settings_of_the_connection_hold():  # settings
    c = connect(Pooling="false", Application_Name="a check", Timezone="Asia/Tokyo", Search_Path="staging")
    same(ask(c, "SELECT current_setting('application_name'), current_setting('TimeZone')"), [["a check", "Asia/Tokyo"]])
    same(value(c, "SELECT count(*) FROM arrivals"), 2)
    c.Close()


def many_connections_are_pooled():  # pools
    pooled = [connect(Maximum_Pool_Size=8, Application_Name="many") for _ in range(8)]
    same([value(c, "SELECT @p0 + 1", n) for n, c in enumerate(pooled)], list(range(1, 9)))
    for c in pooled:
        c.Close()
    NpgsqlConnection.ClearPool(pooled[0])
