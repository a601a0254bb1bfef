"""What Power BI sends through Npgsql: the navigator, Import, DirectQuery."""

from _dotnet import CommandBehavior, DataTable, NpgsqlDataAdapter, ask, command, connect, told, value
from server import same

# The statements of Power Query's navigator, as it sends them.
CHARACTER_SETS = "select character_set_name from INFORMATION_SCHEMA.character_sets"
TABLES = """select TABLE_SCHEMA, TABLE_NAME, TABLE_TYPE
from INFORMATION_SCHEMA.tables
where TABLE_SCHEMA not in ('information_schema', 'pg_catalog')
order by TABLE_SCHEMA, TABLE_NAME"""
COLUMNS = """select COLUMN_NAME, ORDINAL_POSITION, IS_NULLABLE, case when (data_type like '%unsigned%') then DATA_TYPE || \
' unsigned' else DATA_TYPE end as DATA_TYPE
from INFORMATION_SCHEMA.columns
where TABLE_SCHEMA = 'public' and TABLE_NAME = '{table}'
order by TABLE_SCHEMA, TABLE_NAME, ORDINAL_POSITION"""
INDEXES = """select i.CONSTRAINT_SCHEMA || '_' || i.CONSTRAINT_NAME as INDEX_NAME, ii.COLUMN_NAME, ii.ORDINAL_POSITION, \
case when i.CONSTRAINT_TYPE = 'PRIMARY KEY' then 'Y' else 'N' end as PRIMARY_KEY
from INFORMATION_SCHEMA.table_constraints i inner join INFORMATION_SCHEMA.key_column_usage ii
on i.CONSTRAINT_SCHEMA = ii.CONSTRAINT_SCHEMA and i.CONSTRAINT_NAME = ii.CONSTRAINT_NAME
and i.TABLE_SCHEMA = ii.TABLE_SCHEMA and i.TABLE_NAME = ii.TABLE_NAME
where i.TABLE_SCHEMA = 'public' and i.TABLE_NAME = '{table}' and i.CONSTRAINT_TYPE in ('PRIMARY KEY', 'UNIQUE')
order by i.CONSTRAINT_SCHEMA || '_' || i.CONSTRAINT_NAME, ii.TABLE_SCHEMA, ii.TABLE_NAME, ii.ORDINAL_POSITION"""
KEYS = """select pkcol.COLUMN_NAME as PK_COLUMN_NAME, {other}col.TABLE_SCHEMA AS TABLE_SCHEMA, \
{other}col.TABLE_NAME AS TABLE_NAME, fkcol.COLUMN_NAME as FK_COLUMN_NAME, fkcol.ORDINAL_POSITION as ORDINAL, \
fkcon.CONSTRAINT_SCHEMA || '_' || fkcol.TABLE_NAME || '_' || '{table}' || '_' || fkcon.CONSTRAINT_NAME as FK_NAME
from (select distinct constraint_catalog, constraint_schema, unique_constraint_schema, constraint_name, \
unique_constraint_name from INFORMATION_SCHEMA.REFERENTIAL_CONSTRAINTS) fkcon
inner join INFORMATION_SCHEMA.KEY_COLUMN_USAGE fkcol
on fkcon.CONSTRAINT_SCHEMA = fkcol.CONSTRAINT_SCHEMA and fkcon.CONSTRAINT_NAME = fkcol.CONSTRAINT_NAME
inner join INFORMATION_SCHEMA.KEY_COLUMN_USAGE pkcol
on fkcon.UNIQUE_CONSTRAINT_SCHEMA = pkcol.CONSTRAINT_SCHEMA and fkcon.UNIQUE_CONSTRAINT_NAME = pkcol.CONSTRAINT_NAME
where {this}col.TABLE_SCHEMA = 'public' and {this}col.TABLE_NAME = '{table}'
and pkcol.ORDINAL_POSITION = fkcol.ORDINAL_POSITION
order by FK_NAME, fkcol.ORDINAL_POSITION"""


def _table(sql):
    """The answer as Power Query takes it: a DataTable from a data adapter."""
    c = connect(Pooling="false", Timezone="UTC")
    table = DataTable()
    NpgsqlDataAdapter(command(c, sql)).Fill(table)
    c.Close()
    return table


def _of(statement, *tables, **words):
    return "\n".join(told(_table(statement.format(table=table, **words))) for table in tables)


def the_character_set_is_utf8():  # connect
    same(told(_table(CHARACTER_SETS)), "character_set_name:String\nUTF8")


def the_navigator_lists_tables_and_views():  # metadata
    text = told(_table(TABLES))
    for line in ["public|interactions|BASE TABLE", "public|shops|BASE TABLE", "public|shop_totals|VIEW",
                 "public|Odd Näme|BASE TABLE", "staging|arrivals|BASE TABLE"]:
        assert line in text.split("\n"), f"{line} is not in\n{text}"


def the_navigator_lists_columns():  # metadata
    return _of(COLUMNS, "every_type", "shops", "shop_totals", "Odd Näme")


def the_navigator_finds_keys():  # metadata
    return _of(INDEXES, "shops", "shop_days", "regions", "every_type")


def columns_are_typed_where_there_is_no_row():  # metadata
    return _of(INDEXES, "shop_totals") + _of(KEYS, "regions", this="fk", other="pk")


def relationships_are_found_from_the_many_side():  # metadata
    return _of(KEYS, "sales", "shops", "shop_days", this="fk", other="pk")


def relationships_are_found_from_the_one_side():  # metadata
    return _of(KEYS, "regions", "shops", this="pk", other="fk")


def a_schema_table_tells_keys_and_types():  # metadata
    c = connect(Pooling="false")
    reader = command(c, 'select * from "public"."shops" limit 0').ExecuteReader(
        CommandBehavior.SchemaOnly | CommandBehavior.KeyInfo)
    table = reader.GetSchemaTable()
    wanted = ["ColumnName", "ColumnOrdinal", "ColumnSize", "NumericPrecision", "NumericScale", "AllowDBNull",
              "DataTypeName", "IsKey", "IsUnique", "IsAutoIncrement", "BaseSchemaName", "BaseTableName", "BaseColumnName"]
    lines = ["|".join(str(row[name]) for name in wanted) for row in table.Rows]
    reader.Close()
    c.Close()
    return "\n".join(lines)


def import_reads_a_whole_table():  # queries
    return told(_table('select "$Table"."id" as "id", "$Table"."shop_id" as "shop_id", "$Table"."sold_at" as "sold_at", '
                       '"$Table"."amount" as "amount", "$Table"."quantity" as "quantity", "$Table"."note" as "note" '
                       'from "public"."sales" "$Table" order by "$Table"."id"'))


def import_previews_the_history():  # queries
    table = _table('select "$Table"."interaction_id" as "interaction_id", "$Table"."occurred_at" as "occurred_at", '
                   '"$Table"."amount" as "amount" from "public"."interactions" "$Table" limit 1000')
    same((table.Rows.Count, [column.DataType.Name for column in table.Columns]), (1000, ["Guid", "DateTime", "Decimal"]))


def import_takes_odd_names():  # queries
    return told(_table('select "$Table"."with space" as "with space", "$Table"."with.dot" as "with.dot", '
                       '"$Table"."Quote""d" as "Quote""d", "$Table"."#hash" as "#hash" from "public"."Odd Näme" "$Table"'))


def direct_query_sums_by_group():  # queries
    return told(_table('''select "_"."name" as "c2", "_"."a0" as "a0"
from
(
    select "rows"."name" as "name",
        sum("rows"."amount") as "a0"
    from
    (
        select "_"."shop_id", "_"."amount", "$Outer"."name"
        from "public"."sales" "_"
        left outer join (select "id" as "id2", "name" from "public"."shops") "$Outer" on ("_"."shop_id" = "$Outer"."id2")
    ) "rows"
    group by "name"
) "_"
where not "_"."a0" is null
order by "_"."name"
limit 1000001'''))


def direct_query_searches_in_text():  # queries
    return told(_table('''select count(1) as "a0" from (
    select "_"."id" from "public"."sales" "_"
    where strpos((case when "_"."note" is not null then "_"."note" else '' end), 'e 10') > 0
) "rows" limit 501'''))


def direct_query_joins_with_nulls():  # queries
    return told(_table('''select "$Outer"."id" as "c1", "$Inner"."id2" as "c2" from "public"."shops" "$Outer"
inner join (select "id" as "id2", "opened" as "opened2" from "public"."shops") "$Inner"
on ("$Outer"."opened" = "$Inner"."opened2" or "$Outer"."opened" is null and "$Inner"."opened2" is null)
order by "$Outer"."id" limit 1000001'''))


def direct_query_filters_and_counts():  # queries
    return told(_table('''select "_"."t0_0" as "Jahr", count(*) as "a0", min("_"."sold_at") as "a1",
    max("_"."quantity") as "a2", avg("_"."quantity") as "a3", count(distinct "_"."shop_id") as "a4"
from (
    select "_"."sold_at", "_"."quantity", "_"."shop_id", cast(extract(year from "_"."sold_at") as integer) as "t0_0"
    from "public"."sales" "_"
    where "_"."sold_at" >= timestamp '2024-02-01 00:00:00' and "_"."sold_at" < timestamp '2024-05-01 00:00:00'
      and ("_"."shop_id" in (1, 2, 3) and not "_"."note" is null)
) "_"
group by "_"."t0_0"
order by "_"."t0_0"
limit 1001'''))


def direct_query_takes_the_top():  # queries
    return told(_table('''select "rows"."shop_id" as "shop_id", sum("rows"."amount") as "a0"
from "public"."sales" "rows" group by "shop_id" order by "a0" desc, "shop_id" limit 3'''))


def direct_query_unions():  # queries
    return told(_table('''(select "$Table"."id" as "id", "$Table"."name" as "name" from "public"."regions" "$Table")
union all
(select "$Table"."id" as "id", "$Table"."name" as "name" from "public"."shops" "$Table")
order by "name", "id"'''))


def direct_query_asks_the_history():  # queries
    c = connect(Pooling="false")
    same(ask(c, '''select count(*) as "a0" from (select "_"."channel", "_"."occurred_at"
from "public"."interactions" "_" where "_"."channel" = @p0 and "_"."channel" is not null) "rows" limit 1000001''', "web")
         [0][0], value(c, "select count(*) from interactions where channel = 'web'"))
    c.Close()


def a_session_s_zone_shows_in_times():  # settings
    c = connect(Pooling="false", Timezone="Europe/Warsaw")
    same(value(c, "select (timestamptz '2024-07-01 12:00:00+00')::text"), "2024-07-01 14:00:00+02")
    c.Close()
