"""Npgsql 4.0.9, the driver inside Power BI, run by .NET Core 3.1 inside of Python."""

import json
import os
import sys
import tempfile

from clr_loader import get_coreclr
from pythonnet import set_runtime

from server import DATABASE, HOST, PASSWORD, PORT, USER

_place = os.environ["NPGSQL"]
with tempfile.TemporaryDirectory() as _folder:
    _config = os.path.join(_folder, "runtimeconfig.json")
    with open(_config, "w") as _file:
        json.dump({"runtimeOptions": {"tfm": "netcoreapp3.1",
                                      "framework": {"name": "Microsoft.NETCore.App", "version": "3.1.23"}}}, _file)
    set_runtime(get_coreclr(runtime_config=_config, dotnet_root=os.path.join(_place, "dotnet")))
    import clr

    sys.path.append(_place)
    for _assembly in ("Npgsql", "System.Data.Common"):
        clr.AddReference(_assembly)

import System  # noqa: E402
from Npgsql import (NpgsqlCommand, NpgsqlConnection, NpgsqlDataAdapter, NpgsqlException,  # noqa: E402,F401
                    NpgsqlParameter, PostgresException)
from NpgsqlTypes import NpgsqlDbType  # noqa: E402,F401
from System.Data import CommandBehavior, DataTable  # noqa: E402,F401


def connect(**options):
    """An open connection; options as in a connection string, `_` for a space."""
    options = {"Host": HOST, "Port": PORT, "Username": USER, "Password": PASSWORD, "Database": DATABASE, **options}
    c = NpgsqlConnection(";".join(f"{name.replace('_', ' ')}={value}" for name, value in options.items()))
    c.Open()
    return c


def command(c, sql, *parameters):
    made = NpgsqlCommand(sql, c)
    for n, value in enumerate(parameters):
        if type(value) is int:
            value = System.Int32(value)
        made.Parameters.Add(value if isinstance(value, NpgsqlParameter) else NpgsqlParameter(f"p{n}", value))
    return made


def array_of(kind):
    """The NpgsqlDbType of an array."""
    return NpgsqlDbType(int(NpgsqlDbType.Array) | int(kind), True)


def rows(reader):
    """All rows of the reader's current result, as Python sees them; NULL is None."""
    found = []
    while reader.Read():
        found.append([None if reader.IsDBNull(i) else reader.GetValue(i) for i in range(reader.FieldCount)])
    return found


def ask(c, sql, *parameters):
    reader = command(c, sql, *parameters).ExecuteReader()
    try:
        return rows(reader)
    finally:
        reader.Close()


def value(c, sql, *parameters):
    return command(c, sql, *parameters).ExecuteScalar()


def run(c, sql, *parameters):
    return command(c, sql, *parameters).ExecuteNonQuery()


def told(table):
    """A DataTable as text: names and types of its columns, then its rows."""
    lines = ["|".join(f"{column.ColumnName}:{column.DataType.Name}" for column in table.Columns)]
    for row in table.Rows:
        lines.append("|".join("NULL" if isinstance(v, System.DBNull) else str(v) for v in row.ItemArray))
    return "\n".join(lines).replace(USER, "me").replace(DATABASE, "here")


def sqlstate(action, *arguments):
    """The code of the PostgresException that the action must raise."""
    try:
        result = action(*arguments)
    except PostgresException as error:
        return error.SqlState
    raise AssertionError(f"expected an error, got {result!r}")
