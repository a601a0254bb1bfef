#!/usr/bin/env python3
"""Draws queries by chance, for what nobody thinks of: sub-queries that look outside, joins of every kind, groups, windows, NULLs.

    python3 tests/slt/draw.py 7 200 > tests/slt/chance/seven.slt     (a seed, and how many queries)

`record.py` fills in what PostgreSQL answers. Take out what it can't keep (many rows, an answer left to chance) and what Rapport
says 0A000 to.
"""

import random
import sys

TYPES = {"i": "integer", "t": "text", "n": "numeric(6,2)", "d": "date", "b": "boolean"}
TABLES = {
    "drawn_a": {"id": "i", "a": "i", "b": "i", "c": "t"},
    "drawn_b": {"id": "i", "a": "i", "b": "i", "d": "n"},
    "drawn_c": {"id": "i", "a": "i", "e": "d", "f": "b"},
}
N_ROWS = 9
LONGEST = 700
AGGREGATES = {
    "i": ["max({i})", "min({i})", "sum({i})::integer", "count({i})::integer", "count(*)::integer", "count(DISTINCT {i})::integer",
          "round(avg({i}))::integer", "sum(DISTINCT {i})::integer", "cardinality(array_agg({i}))",
          "(percentile_disc(0.5) WITHIN GROUP (ORDER BY {i}))::integer", "coalesce(sum({i}), 0)::integer", "bit_or({i})"],
    "t": ["max({t})", "min({t})", "string_agg({t}, ',' ORDER BY {t})", "coalesce(max({t}), 'none')",
          "array_to_string(array_agg({t} ORDER BY {t} DESC), '|')"],
    "n": ["max({n})", "min({n})", "sum({n})"],
    "d": ["max({d})", "min({d})"],
    "b": ["bool_or({b})", "bool_and({b})"],
}
EXPRESSIONS = {
    "i": ["({i} + {i})", "({i} - {i})", "({i} * {i})", "({i} / 2)", "mod({i}, 3)", "abs({i} - 2)", "coalesce({i}, {i})",
          "nullif({i}, {i})", "greatest({i}, {i})", "CASE WHEN {?} THEN {i} ELSE {i} END",
          "CASE {i} WHEN 1 THEN 10 WHEN {i} THEN 20 ELSE {i} END", "length({t})", "position('x' in {t})",
          "({d} - date '2024-01-01')", "extract(month FROM {d})::integer", "round({n})::integer", "({?})::integer",
          "(ARRAY[{i}, 7, 8])[2]"],
    "t": ["({t} || {t})", "upper({t})", "coalesce({t}, {t})", "substr({t}, 1, 1)", "{i}::text", "concat({t}, {i}, '-')",
          "to_char({d}, 'YYYY-MM')", "replace({t}, 'x', 'yy')", "lpad({t}, 3, '*')", "({?})::text"],
    "n": ["({n} + {n})", "({n} * 2)", "(- {n})", "abs({n})", "({n} + {i})"],
    "d": ["({d} + {i})", "date_trunc('month', {d})::date", "({d} + interval '1 month')::date", "least({d}, {d})"],
    "b": ["({?})"],
}
CONDITIONS = ["{t} LIKE 'a%'", "{t} NOT ILIKE '%x'", "({i}, {i}) < ({i}, {i})", "({i}, {i}) = ({i}, {i})", "({?}) IS UNKNOWN",
              "({?}) IS NOT TRUE", "{i} = ANY (ARRAY[{i}, {i}])", "{d} NOT BETWEEN date '2024-01-02' AND {d}",
              "{i} BETWEEN {i} AND {i}", "{i} IN ({i}, {i})", "{i} NOT IN (1, {i})", "{t} IS DISTINCT FROM {t}",
              "{i} IS NOT DISTINCT FROM {i}", "{b}", "NOT {b}", "{i} IS NULL", "{t} IS NOT NULL", "coalesce({b}, false)"]
WINDOWS = ["(rank() OVER (ORDER BY {i} DESC))::integer", "(count(*) OVER (PARTITION BY {i}))::integer",
           "(sum({i}) OVER (ORDER BY {i}))::integer", "max({i}) OVER (ORDER BY {i} RANGE BETWEEN 1 PRECEDING AND 1 FOLLOWING)",
           "(dense_rank() OVER (PARTITION BY {i} ORDER BY {i}))::integer", "min({i}) OVER (PARTITION BY {i})",
           "(count(*) OVER (ORDER BY {i} GROUPS BETWEEN 1 PRECEDING AND CURRENT ROW))::integer"]


class Draw:
    """A scope is a list of (name, columns); those of the queries around a sub-query are its `outer`."""

    def __init__(self, seed):
        self.chance = random.Random(seed)
        self.names = 0

    def name(self):
        self.names += 1
        return f"x{self.names}"

    def one(self, *of):
        return self.chance.choice(of)

    def is_so(self, share):
        return self.chance.random() < share

    def value(self, kind, nulls=0.2):
        if self.is_so(nulls):
            return f"NULL::{TYPES[kind]}"
        day = f"date '2024-0{self.chance.randint(1, 3)}-0{self.chance.randint(1, 3)}'"
        text = f"'{self.one(*'abcAB')}{self.one('', 'x')}'"
        return {"i": str(self.chance.randint(0, 4)), "t": text, "n": self.one("0.50", "1.00", "2.25", "3.00", "10.10"), "d": day,
                "b": self.one("true", "false")}[kind]

    def column(self, kind, scope):
        there = [f"{name}.{column}" for name, columns in scope for column, its in columns.items() if its == kind]
        return self.one(*there) if there else None

    def filled(self, form, scope, outer, depth):
        parts = form.replace("}", "{").split("{")
        fill = lambda part: self.condition(scope, outer, depth) if part == "?" else self.expression(part, scope, outer, depth)
        return "".join(fill(part) if at % 2 else part for at, part in enumerate(parts))

    def expression(self, kind, scope, outer, depth):
        if depth > 0 and self.is_so(0.12):
            return self.scalar(kind, scope + outer, depth - 1)
        if depth > 0 and self.is_so(0.25):
            return self.filled(self.one(*EXPRESSIONS[kind]), scope, outer, depth - 1)
        where = scope if self.is_so(0.75) or not outer else outer
        column = self.column(kind, where) if self.is_so(0.8) else None
        return column or self.value(kind, 0.08)

    def condition(self, scope, outer, depth):
        around = scope + outer
        if depth > 0 and self.is_so(0.16):
            return f"({self.condition(scope, outer, depth - 1)} {self.one('AND', 'OR')} {self.condition(scope, outer, depth - 1)})"
        if depth > 0 and self.is_so(0.06):
            return f"NOT ({self.condition(scope, outer, depth - 1)})"
        if depth > 0 and self.is_so(0.15):
            return f"{self.one('', 'NOT ')}EXISTS ({self.query(['i'], around, depth - 1)})"
        if depth > 0 and self.is_so(0.25):
            kind = self.one(*"iitnd")
            asks = self.one("IN", "NOT IN", "IN", "NOT IN", "= ANY", "> ALL", "<> ALL", "<= ANY")
            return f"{self.expression(kind, scope, outer, depth - 1)} {asks} ({self.query([kind], around, depth - 1)})"
        if self.is_so(0.4):
            return self.filled(self.one(*CONDITIONS), scope, outer, max(depth - 1, 0))
        kind, operator = self.one(*"iiitnd"), self.one("=", "=", "=", "<>", "<", ">=")
        left, right = (self.expression(kind, scope, outer, max(depth - 1, 0)) for _ in "lr")
        return f"{left} {operator} {right}"

    def aggregate(self, kind, scope):
        form = self.one(*AGGREGATES[kind])
        parts = form.replace("}", "{").split("{")
        columns = {part: self.column(part, scope) or self.value(part, 0) for part in parts[1::2]}
        return "".join(columns[part] if at % 2 else part for at, part in enumerate(parts))

    def scalar(self, kind, outer, depth):
        if self.is_so(0.75):
            return f"({self.query([kind], outer, depth, form='aggregate')})"
        source, scope = self.source_of(outer, depth)
        value, order = self.expression(kind, scope, outer, 0), self.all_columns(scope)
        return f"(SELECT {value} FROM {source} WHERE {self.condition(scope, outer, depth)} ORDER BY {order} LIMIT 1)"

    def all_columns(self, scope):
        return ", ".join(f"{name}.{column}" for name, columns in scope for column in columns)

    def table(self, depth):
        name = self.name()
        if depth > 0 and self.is_so(0.18):
            kinds = ["i", "i", self.one(*"itn")]
            columns = dict(zip("pqr", kinds))
            return f"({self.query(kinds, [], depth - 1, names='pqr')}) AS {name}", (name, columns)
        table = self.one(*TABLES)
        return f"{table} AS {name}", (name, TABLES[table])

    def source_of(self, outer, depth):
        """What stands behind FROM, and its scope."""
        sql, first = self.table(depth)
        scope = [first]
        for _ in range(self.one(0, 0, 0, 1, 1, 2) if depth > 0 else self.one(0, 0, 1)):
            if depth > 0 and self.is_so(0.14):
                name, kinds = self.name(), ["i", self.one(*"itn")]
                rows = self.query(kinds, scope + outer, depth - 1, names="pq")
                sql += self.one(f" CROSS JOIN LATERAL ({rows}) AS {name}", f" LEFT JOIN LATERAL ({rows}) AS {name} ON true")
                scope = scope + [(name, dict(zip("pq", kinds)))]
                continue
            table, new = self.table(depth - 1)
            how = self.one("JOIN", "JOIN", "LEFT JOIN", "LEFT JOIN", "RIGHT JOIN", "FULL JOIN", "CROSS JOIN")
            on = f"{self.column('i', scope)} = {self.column('i', [new])}"
            if how not in ("CROSS JOIN", "FULL JOIN"):
                if self.is_so(0.4):
                    on = self.condition(scope + [new], [], 0)
                if self.is_so(0.3):
                    on += f" AND {self.condition(scope + [new], [], 0)}"
            sql += f" {how} {table}" + ("" if how == "CROSS JOIN" else f" ON {on}")
            scope = scope + [new]
        return sql, scope

    def query(self, kinds, outer, depth, form=None, names=None):
        source, scope = self.source_of(outer, depth)
        where = f" WHERE {self.condition(scope, outer, depth)}" if self.is_so(0.65) else ""
        shown = lambda items: ", ".join(f"{item} AS {names[at]}" if names else item for at, item in enumerate(items))
        select = lambda items, what="": f"SELECT {what}{shown(items)} FROM {source}{where}"
        if form == "aggregate" or self.is_so(0.08):
            having = f" HAVING {self.aggregate('i', scope)} > {self.chance.randint(0, 3)}" if self.is_so(0.15) else ""
            return select([self.aggregate(kind, scope) for kind in kinds]) + having
        keys = [self.column(kind, scope) for kind in kinds[:2]]
        if all(keys) and len(set(keys)) == len(keys) and self.is_so(0.2):
            by = ", ".join(keys)
            by = self.one(by, by, f"ROLLUP ({by})", f"CUBE ({by})") if len(keys) == 2 else by
            having = f" HAVING {self.aggregate('i', scope)} <> {self.chance.randint(0, 3)}" if self.is_so(0.3) else ""
            return select(keys + [self.aggregate(kind, scope) for kind in kinds[2:]]) + f" GROUP BY {by}{having}"
        if not outer and form is None and self.is_so(0.1):
            left, right = (self.query(kinds, [], max(depth - 1, 0), form="plain", names=names) for _ in "lr")
            return f"{left} {self.one('UNION', 'UNION ALL', 'INTERSECT', 'EXCEPT', 'EXCEPT ALL')} {right}"
        items = [self.expression(kind, scope, outer, depth) for kind in kinds]
        if kinds[0] == "i" and self.is_so(0.12):
            items[0] = self.filled(self.one(*WINDOWS), scope, [], 0)
        return select(items, "DISTINCT " if self.is_so(0.1) else "")


def main():
    seed, count = map(int, sys.argv[1:])
    print(f"# Drawn by chance: draw.py {seed} {count}.\n# also: postgres\n")
    drawn = Draw(seed)
    for table, columns in TABLES.items():
        print(f"statement ok\nCREATE TABLE {table} ({', '.join(f'{name} {TYPES[kind]}' for name, kind in columns.items())})\n")
        rows = [", ".join(str(n) if name == "id" else drawn.value(kind) for name, kind in columns.items()) for n in range(N_ROWS)]
        print(f"statement count {N_ROWS}\nINSERT INTO {table} VALUES {', '.join(f'({row})' for row in rows)}\n")
    while count:
        drawn.names = 0
        kinds = [drawn.one(*"iitnd") for _ in range(drawn.one(1, 2, 3))]
        query = drawn.query(kinds, [], drawn.one(1, 2, 2))
        if len(query) <= LONGEST:
            count -= 1
            print(f"query\n{query}\n----\n")
    for table in TABLES:
        print(f"statement ok\nDROP TABLE {table}\n")


if __name__ == "__main__":
    main()
