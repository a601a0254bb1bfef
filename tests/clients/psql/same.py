"""What psql prints must be the same to the letter on both servers."""

import os
import re
import subprocess

from server import DATABASE, USER


def _psql(*commands, options=()):
    arguments = ["psql", "-X", "-w", "-v", "ON_ERROR_STOP=1", *options]
    for command in commands:
        arguments += ["-c", command]
    done = subprocess.run(arguments, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0 and not done.stderr, done.stdout + done.stderr
    return done.stdout.replace(USER, "me").replace(DATABASE, "here")


def _typed(text, editor="true"):
    done = subprocess.run(["psql", "-X", "-w"], input=text, capture_output=True, text=True, timeout=60,
                          env={**os.environ, "PSQL_EDITOR": editor})
    return done.stdout + done.stderr


def d_of_tables_with_keys():  # metadata
    return _psql(r"\d regions", r"\d shops", r"\d sales", r"\d shop_days")


def d_of_every_type():  # metadata
    return _psql(r"\d every_type")


def d_of_odd_names():  # metadata
    return _psql(r'\d "Odd Näme"', r"\d staging.arrivals")


def d_plus_of_a_table():  # metadata
    return _psql(r"\d+ shops")


def d_of_a_view():  # metadata
    return _psql(r"\d shop_totals")


def lists_by_pattern():  # metadata
    text = _psql(r"\dt sh*", r"\dv sh*", r"\di regions*", r"\dt staging.*", r"\d sh*")
    # The owner's name makes its column wider on one server.
    return re.sub("--+", "--", re.sub("  +", " ", text))


def comments_by_pattern():  # metadata
    return _psql(r"\dd shop*") + "\n".join(
        " ".join(line.split("|")[i].strip() for i in (1, -1)) for line in _psql(r"\dt+ sh*").splitlines() if "|" in line)


def lists_of_operator_classes():  # metadata
    return _psql(r"\dA", r"\dAc btree", r"\dAf btree", r"\dAo btree", r"\dAo+ hash", r"\dAp btree", r"\dAp+ brin")


def lists_of_text_search():  # metadata
    return _psql(r"\dF", r"\dF+ english", r"\dFd", r"\dFp", r"\dFt")


def lists_of_functions():  # metadata
    return _psql(r"\da sum", r"\daS mode", r"\df pg_catalog.sub*", r"\dfS lower", r"\dfa sum", r"\dfn upper", r"\dfp", r"\dft",
                 r"\dfw rank", r"\sf pg_catalog.age(timestamptz)", r"\sf+ upper(text)")


def lists_of_types_and_operators():  # metadata
    return _psql(r"\dT integer", r"\dC jsonb", r"\dC+ json", r"\dD", r"\dO \"C\"", r"\do ||", r"\do + integer integer", r"\dc utf8*")


def lists_of_what_nobody_has_here():  # metadata
    kinds = r"\dE \dP \dPi \dPn \dPt \dRp \dRs \dX \des \det \deu \dew \dew+ \dl \lo_list \dm \drds \ds \dx \dx+ \dy"
    return _typed(kinds.replace(" ", "\n") + "\n")


def lists_of_the_rest():  # metadata
    return _psql(r"\dS pg_am", r"\d pg_attrdef", r"\dconfig work_mem", r"\dg pg_monitor", r"\dn pub*", r"\dp sh*",
                 r"\sv shop_totals", r"\sv+ shop_totals")


def definitions_as_an_editor_sees_them():  # metadata
    return _typed("\\ef upper(text)\n\\r\n\\ev shop_totals\n\\r\n", editor="cat")


def a_query_in_every_format():  # queries
    sql = "SELECT id, name, opened, area, is_open FROM shops ORDER BY id"
    return "".join(_psql(sql, options=options) for options in [
        ["--csv"], ["-H"], ["-A"], ["-x"], ["-A", "-F", "\t", "-t"], ["-P", "format=wrapped", "-P", "columns=40"],
        ["-P", "format=asciidoc"], ["-P", "format=latex"], ["-P", "null=(null)"]])


def every_type_as_text():  # types
    return _psql("SET TimeZone = 'UTC'", "SELECT * FROM every_type ORDER BY id", options=["-x"])


def statements_of_one_message():  # several
    return _typed("SELECT 1 AS a \\; SELECT 2 AS b \\; SELECT count(*) FROM shops;\n")


def an_error_in_one_message():  # several, errors
    return _typed("SELECT 1 AS a \\; SELECT 1/0 AS b \\; SELECT 3;\nSELECT 4 AS d;\n")


def a_cross_table():  # queries
    return _typed("SELECT shop_id, quantity, count(*) FROM sales WHERE quantity < 4 GROUP BY 1, 2 ORDER BY 1, 2 \\crosstabview\n")


def gx_and_gdesc():  # queries
    return _typed("SELECT * FROM shops WHERE id = 1 \\gx\nSELECT *, 1 AS one, now() FROM sales \\gdesc\n")


def types_of_what_is_computed():  # queries
    return _typed("SELECT lag(a_numeric) OVER w AS a, first_value(a_varchar) OVER w AS b, last_value(a_char) OVER w AS c, "
                  "a_numeric::numeric(10,2) AS d, a_numeric::numeric AS e, coalesce(a_numeric, a_numeric) AS f, "
                  "CASE WHEN a_boolean THEN a_numeric ELSE a_numeric END AS g, nullif(a_numeric, 0) AS h, "
                  "greatest(a_numeric, 0) AS i, a_text_array::varchar[] AS j, ARRAY['a']::char(3)[] AS k "
                  "FROM every_type WINDOW w AS (ORDER BY id) \\gdesc\n")


def an_error_in_full():  # errors
    return _typed("\\set VERBOSITY verbose\nSELECT nothing FROM shops;\n").split("LOCATION")[0]


def copy_to_a_file_and_back():  # copy
    return _typed("\\copy (SELECT * FROM every_type ORDER BY id) TO STDOUT\n"
                  "\\copy (SELECT * FROM shops ORDER BY id) TO STDOUT WITH (FORMAT csv, HEADER)\n")


def variables_of_the_server():  # settings
    return _typed("\\echo :ENCODING :LAST_ERROR_SQLSTATE\nSELECT 1/0;\n\\echo :LAST_ERROR_SQLSTATE :ERROR :ROW_COUNT\n"
                  "SELECT id FROM shops;\n\\echo :ROW_COUNT\n")
