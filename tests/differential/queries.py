"""Queries of a seed, in the SQL that DuckDB and Emporia share.

What the two mean differently is left out: `/` of whole numbers, `avg` of decimals, the place of nulls where the
query does not say it, and an order that is not total below a limit.
"""

import random

from tables import COLUMNS, TEXTS
from tree import Leaf, Many, Node, Query, Select, Spelled

JOINS = ["JOIN", "LEFT JOIN", "RIGHT JOIN", "FULL JOIN", "CROSS JOIN", "SEMI", "ANTI"]
NULLS = ["ASC NULLS FIRST", "ASC NULLS LAST", "DESC NULLS FIRST", "DESC NULLS LAST"]
COMPARISONS = ["=", "=", "<>", "<", "<=", ">", ">="]
SQL_TYPES = {
    "int": "BIGINT",
    "decimal": "DECIMAL(20,4)",
    "float": "DOUBLE",
    "text": "VARCHAR",
    "bool": "BOOLEAN",
    "date": "DATE",
    "time": "TIMESTAMP",
}


class Scope:
    """The columns that an expression may name, as pairs of text and type."""

    def __init__(self, columns, ids):
        self.columns, self.ids = columns, ids

    @staticmethod
    def of(alias):
        return Scope([(f"{alias}.{column}", kind) for column, kind in COLUMNS.items()], [f"{alias}.id"])

    def __add__(self, other):
        return Scope(self.columns + other.columns, self.ids + other.ids)


class Generator:
    """Makes one query from a seed over the tables of a set."""

    def __init__(self, tables, index):
        self.dice = random.Random(f"query {tables.seed} {index}")
        self.tables, self.n_aliases, self.ctes = tables, 0, []

    def chance(self, share):
        return self.dice.random() < share

    def pick(self, items):
        return self.dice.choice(items)

    def alias(self):
        self.n_aliases += 1
        return f"r{self.n_aliases}"

    # Expressions

    def column(self, scope, kind):
        names = [name for name, k in scope.columns if k == kind]
        return Leaf(kind, self.pick(names)) if names else self.literal(kind)

    def literal(self, kind):
        dice = self.dice
        if self.chance(0.1):
            return Leaf(kind, f"CAST(NULL AS {SQL_TYPES[kind]})")
        column = {"int": "k", "decimal": "d", "text": "s", "date": "day", "time": "ts"}.get(kind)
        if column and self.chance(0.7):
            return Leaf(kind, self.value(kind, self.pick(self.tables.pools[column])))
        text = {
            "int": lambda: str(dice.randint(-3, 13)) if self.chance(0.9) else "0",
            "decimal": lambda: f"CAST({dice.randint(-40, 400) / 4} AS DECIMAL(10,2))",
            "float": lambda: f"CAST({dice.randint(-200, 200) / 4} AS DOUBLE)",
            "text": lambda: "'" + self.pick(TEXTS).replace("'", "''") + "'",
            "bool": lambda: self.pick(["true", "false"]),
            "date": lambda: f"DATE '2024-0{dice.randint(1, 3)}-{dice.randint(1, 28):02}'",
            "time": lambda: f"TIMESTAMP '2024-01-0{dice.randint(1, 3)} {dice.randint(0, 23):02}:00:00'",
        }[kind]()
        return Leaf(kind, text)

    def value(self, kind, value):
        """A value of a table as a literal."""
        quoted = "'" + str(value).replace("'", "''") + "'"
        return {
            "int": str(value),
            "decimal": f"CAST({value} AS DECIMAL(10,2))",
            "text": quoted,
            "date": f"DATE {quoted}",
            "time": f"TIMESTAMP {quoted}",
        }[kind]

    def small_int(self, scope):
        """A whole number that arithmetic does not take out of its type."""
        names = [name for name, _ in scope.columns if name.endswith((".k", ".id"))]
        return Leaf("int", self.pick(names)) if names else self.literal("int")

    def expression(self, scope, kind, depth=2):
        if depth == 0 or self.chance(0.45):
            return self.column(scope, kind) if self.chance(0.85) else self.literal(kind)
        sub = lambda k: self.expression(scope, k, depth - 1)
        general = self.dice.random()
        if general < 0.12:
            return Node(kind, "CASE WHEN ", self.predicate(scope, depth - 1), " THEN ", sub(kind), " ELSE ", sub(kind), " END")
        if general < 0.2:
            return Node(kind, "coalesce(", sub(kind), ", ", sub(kind), ")")
        if general < 0.25:
            return Node(kind, "nullif(", sub(kind), ", ", sub(kind), ")")
        if general < 0.29 and depth >= 2:
            return self.scalar_subquery(scope, kind)
        if kind == "int":
            return self.pick(
                [
                    lambda: Node("int", "(", self.small_int(scope), self.pick([" + ", " - ", " * "]), self.small_int(scope), ")"),
                    lambda: Node("int", "(", self.small_int(scope), f" % {self.pick([2, 3, 7])})"),
                    lambda: Node("int", "length(", sub("text"), ")"),
                    lambda: Node("int", f"extract({self.pick(['year', 'month', 'day'])} FROM ", sub("date"), ")"),
                    lambda: Node("int", "CAST(", sub("bool"), " AS INTEGER)"),
                    lambda: Node("int", "abs(", self.small_int(scope), ")"),
                ]
            )()
        if kind == "decimal":
            return Node("decimal", "(", self.column(scope, "decimal"), self.pick([" + ", " - ", " * "]), self.literal("decimal"), ")")
        if kind == "float":
            return Node("float", "CAST(", self.pick([sub("int"), self.column(scope, "decimal")]), " AS DOUBLE)")
        if kind == "text":
            return self.pick(
                [
                    lambda: Node("text", "(", sub("text"), " || ", sub("text"), ")"),
                    lambda: Node("text", "upper(", Leaf("text", self.pick(["'ab'", "'b'"])), ")"),
                    lambda: Node("text", "substr(", sub("text"), f", {self.pick([1, 2])}, {self.pick([1, 2])})"),
                    lambda: Node("text", "replace(", sub("text"), ", 'a', 'o')"),
                    lambda: Node("text", "CAST(", sub("int"), " AS VARCHAR)"),
                ]
            )()
        if kind == "bool":
            return self.predicate(scope, depth - 1)
        if kind == "time":
            return Node("time", f"date_trunc('{self.pick(['day', 'hour', 'month'])}', ", sub("time"), ")")
        return self.column(scope, kind)

    def predicate(self, scope, depth=2):
        choice = self.dice.random()
        if depth > 0 and choice < 0.25:
            word = self.pick([" AND ", " OR "])
            return Node("bool", "(", self.predicate(scope, depth - 1), word, self.predicate(scope, depth - 1), ")")
        if depth > 0 and choice < 0.33:
            return Node("bool", "(NOT ", self.predicate(scope, depth - 1), ")")
        if depth > 0 and choice < 0.45:
            return self.subquery_predicate(scope)
        kind = self.pick(["int", "int", "int", "text", "decimal", "float", "date", "time"])
        left = self.expression(scope, kind, min(depth, 1))
        if choice < 0.55:
            return Node("bool", "(", left, self.pick([" IS NULL)", " IS NOT NULL)"]))
        if choice < 0.65:
            values = Many("list", [self.literal(kind) for _ in range(self.dice.randint(1, 4))])
            return Node("bool", "(", left, self.pick([" IN (", " NOT IN ("]), values, "))")
        if choice < 0.7:
            between = self.pick([" BETWEEN ", " NOT BETWEEN "])
            return Node("bool", "(", left, between, self.literal(kind), " AND ", self.literal(kind), ")")
        if choice < 0.75:
            word = self.pick([" IS DISTINCT FROM ", " IS NOT DISTINCT FROM "])
            return Node("bool", "(", left, word, self.expression(scope, kind, 0), ")")
        if choice < 0.8:
            pattern = self.pick(["a%", "%b", "%", "_", "%a%", "a_", "100%", ""])
            word = self.pick([" LIKE ", " NOT LIKE "])
            return Node("bool", "(", self.expression(scope, "text", 1), f"{word}'{pattern}')")
        if choice < 0.85:
            return self.column(scope, "bool")
        return Node("bool", "(", left, f" {self.pick(COMPARISONS)} ", self.expression(scope, kind, min(depth, 1)), ")")

    # Subqueries

    def subquery_predicate(self, outer):
        alias = self.alias()
        inner = Scope.of(alias)
        table = self.source()
        where = Node("where", " WHERE ", self.correlation(inner, outer)) if self.chance(0.6) else Node("where")
        if self.chance(0.5):
            word = self.pick(["EXISTS", "NOT EXISTS"])
            return Node("bool", f"({word} (SELECT {self.pick(['1', alias + '.k'])} FROM {table} {alias}", where, "))")
        kind = self.pick(["int", "int", "text", "date"])
        word = self.pick([" IN ", " NOT IN "])
        left, item = self.column(outer, kind), self.column(inner, kind)
        return Node("bool", "(", left, word, "(SELECT ", item, f" FROM {table} {alias}", where, "))")

    def correlation(self, inner, outer):
        kind = self.pick(["int", "int", "text", "date"])
        word = self.pick(["=", "=", "=", "=", "<", "<>"])
        both = Node("bool", self.column(inner, kind), f" {word} ", self.column(outer, kind))
        if self.chance(0.4):
            both = Node("bool", "(", both, self.pick([" AND ", " AND ", " OR "]), self.predicate(inner, 0), ")")
        return both if self.chance(0.75) else self.predicate(inner, 0)

    def scalar_subquery(self, outer, kind):
        alias = self.alias()
        inner = Scope.of(alias)
        aggregate = self.pick(["min", "max"]) if kind != "int" else self.pick(["min", "max", "count"])
        if kind == "bool":
            aggregate = "bool_or"
        names = [name for name, k in inner.columns if k == kind]
        where = ""
        if self.chance(0.7):
            key = self.pick(["k", "k", "s", "day"])
            outside = [name for name, _ in outer.columns if name.endswith("." + key)]
            where = f" WHERE {alias}.{key} = {self.pick(outside)}" if outside else ""
        return Leaf(kind, f"(SELECT {aggregate}({self.pick(names)}) FROM {self.source()} {alias}{where})")

    # Sources

    def source(self):
        if self.ctes and self.chance(0.3):
            return self.pick(self.ctes)
        return self.pick(self.tables.tables).name

    def relation(self):
        """A table, or a derived one of the same columns."""
        alias = self.alias()
        scope = Scope.of(alias)
        if self.chance(0.7):
            return Node("relation", f"{self.source()} {alias}"), scope
        make = self.dice.choices([self.part, self.union, self.groups, self.ranked], [12, 6, 5, 4])[0]
        return Node("relation", "(", make(), f") {alias}"), scope

    def rows(self, columns, share=0.6):
        """Some rows of a table."""
        inner = self.alias()
        tail = Node("where", " WHERE ", self.predicate(Scope.of(inner), 1)) if self.chance(share) else Node("where")
        return inner, Node("rows", f"SELECT {columns} FROM {self.source()} {inner}", tail)

    def part(self):
        """Rows of a table, perhaps the first ones."""
        inner, rows = self.rows("*")
        if self.chance(0.6):
            return rows
        order = f" ORDER BY {inner}.{self.pick(list(COLUMNS))} {self.pick(NULLS)}, {inner}.id"
        limit = self.dice.randint(0, 9)
        offset = self.dice.randint(0, 3) if self.chance(0.3) else None
        # An offset alone in place of one of no rows.
        order += f" LIMIT {limit}" if limit or offset is None else ""
        order += f" OFFSET {offset}" if offset is not None else ""
        return Node("rows", rows, order)

    def union(self):
        """Rows of several tables; each `id` is there once."""
        branches = []
        for index in range(self.dice.choices([2, 3], [4, 1])[0]):
            shifted = ", ".join(f"id + {1000 * index} AS id" if index and column == "id" else column for column in COLUMNS)
            branches.append(self.rows(shifted)[1])
        return Many("rows", branches, " UNION ALL ", least=2)

    def groups(self):
        """A row for each value of a column, with its least `id`."""
        key = self.pick(["k", "s", "b", "day", "d"])
        word = lambda column: "bool_or" if column == "b" else "min" if column == "id" else self.pick(["min", "max"])
        columns = [column if column == key else f"{word(column)}({column}) AS {column}" for column in COLUMNS]
        return Node("rows", self.rows(", ".join(columns))[1], f" GROUP BY {key}")

    def ranked(self):
        """The first rows of each value of a column."""
        key, order = self.pick(["k", "s", "b", "day"]), self.pick(list(COLUMNS))
        call = self.pick(["row_number()", "rank()", "dense_rank()"])
        rank = f"{call} OVER (PARTITION BY {key} ORDER BY {order} {self.pick(NULLS)}, id) AS place"
        rows = self.rows(f"*, {rank}", 0.4)[1]
        wanted = self.pick(["place <= 2", "place = 1", "place BETWEEN 2 AND 3", "place - 1 < 3"])
        return Node("rows", f"SELECT {', '.join(COLUMNS)} FROM (", rows, f") {self.alias()} WHERE {wanted}")

    def join(self, depth):
        left, scope = self.relation()
        for _ in range(depth):
            right, right_scope = self.relation()
            word = self.pick(JOINS)
            both = scope + right_scope
            if word == "CROSS JOIN":
                left = Node("relation", left, " CROSS JOIN ", right)
                scope = both
                continue
            condition = self.join_condition(scope, right_scope)
            if word in ("SEMI", "ANTI"):
                spelled = Spelled("word", f" {word} JOIN ", f" LEFT {word} JOIN ")
                left = Node("relation", left, spelled, right, " ON ", condition)
            else:
                left = Node("relation", left, f" {word} ", right, " ON ", condition)
                scope = both
        return left, scope

    def join_condition(self, left, right):
        both = left + right
        choice = self.dice.random()
        if choice < 0.08:
            return Leaf("bool", self.pick(["true", "false", "1 = 1", "1 = 0"]))
        key = self.pick(["k", "k", "k", "id", "s", "day", "n", "d"])
        sides = [[name for name, _ in scope.columns if name.endswith("." + key)] for scope in (left, right)]
        equality = Node("bool", f"{self.pick(sides[0])} = {self.pick(sides[1])}")
        if choice < 0.45:
            return equality
        if choice < 0.7:
            return Node("bool", "(", equality, " AND ", self.predicate(both, 0), ")")
        if choice < 0.9:
            kind = self.pick(["int", "int", "date", "text"])
            word = self.pick(["<", "<=", ">", "<>"])
            return Node("bool", "(", self.column(left, kind), f" {word} ", self.column(right, kind), ")")
        return Node("bool", "(", equality, " OR ", self.predicate(both, 0), ")")

    # Aggregates and windows

    def aggregate(self, scope):
        filtered = Node("filter", " FILTER (WHERE ", self.predicate(scope, 1), ")") if self.chance(0.25) else Node("filter")
        distinct = "DISTINCT " if self.chance(0.25) else ""
        choice = self.dice.random()
        if choice < 0.15:
            return Node("int", "count(*)", filtered)
        if choice < 0.35:
            kind = self.pick(list(SQL_TYPES))
            return Node("int", f"count({distinct}", self.expression(scope, kind, 1), ")", filtered)
        if choice < 0.6:
            kind = self.summable()
            item = self.small_int(scope) if kind == "int" else self.column(scope, kind)
            word = self.pick(["sum", "sum", "avg"]) if kind != "decimal" else "sum"
            return Node("number", f"{word}({distinct}", item, ")", filtered)
        if choice < 0.64:
            return Node("float", f"median({distinct}", self.small_int(scope), ")", filtered)
        if choice < 0.85:
            kind = self.pick(["int", "decimal", "float", "text", "date", "time"])
            return Node(kind, f"{self.pick(['min', 'max'])}(", self.expression(scope, kind, 1), ")", filtered)
        if choice < 0.95 or not scope.ids:
            return Node("bool", f"{self.pick(['bool_and', 'bool_or'])}(", self.column(scope, "bool"), ")", filtered)
        ids = ", ".join(f"{name} NULLS LAST" for name in scope.ids)
        return Node("text", "string_agg(", self.column(scope, "text"), f", '|' ORDER BY {ids})", filtered)

    def summable(self):
        return self.pick(["int", "decimal"] if self.tables.has_special_floats else ["int", "decimal", "float"])

    def window(self, scope):
        ids = ", ".join(f"{name} {self.pick(NULLS)}" for name in scope.ids)
        partition = Node("partition", "PARTITION BY ", self.expression(scope, self.pick(["int", "text", "date"]), 1), " ") if self.chance(0.6) else Node("partition")
        key = self.expression(scope, self.pick(list(SQL_TYPES)), 1)
        total = Node("order", "ORDER BY ", key, f" {self.pick(NULLS)}, {ids}")
        peers = Node("order", "ORDER BY ", key, f" {self.pick(NULLS)}")
        choice = self.dice.random()
        if choice < 0.25:
            word = self.pick(["row_number()", f"ntile({self.pick([2, 3])})", "row_number()"])
            before, after = self.pick([("", ""), ("", ""), ("", " - 5"), ("-", ""), ("(", " - 1) % 3")])
            return Node("int", f"{before}{word} OVER (", partition, total, f"){after}")
        if choice < 0.4:
            word = self.pick(["rank()", "dense_rank()", "percent_rank()", "cume_dist()"])
            kind = "float" if word in ("percent_rank()", "cume_dist()") else "int"
            return Node(kind, f"{word} OVER (", partition, peers, ")")
        kind = self.pick(list(SQL_TYPES))
        item = self.column(scope, kind)
        if choice < 0.55:
            default = Node("default", ", ", self.literal(kind)) if self.chance(0.3) else Node("default")
            call = f"{self.pick(['lag', 'lead'])}("
            return Node(kind, call, item, f", {self.pick([0, 1, 2])}", default, ") OVER (", partition, total, ")")
        if choice < 0.7:
            word = self.pick(["first_value", "last_value", "nth_value"])
            extra = f", {self.pick([1, 2])}" if word == "nth_value" else ""
            return Node(kind, f"{word}(", item, f"{extra}) OVER (", partition, total, self.frame("ROWS"), ")")
        word = self.pick(["sum", "count", "min", "max", "avg", "median"])
        if word in ("sum", "avg", "median"):
            kind = self.pick([k for k in ["int", "float"] if k != "float" or not self.tables.has_special_floats])
            item = self.small_int(scope) if kind == "int" else self.column(scope, "float")
        elif word != "count" and kind == "bool":
            kind, item = "int", self.column(scope, "int")
        result = "int" if word == "count" else "number" if word in ("sum", "avg", "median") else kind
        filtered = Node("filter", " FILTER (WHERE ", self.predicate(scope, 0), ")") if self.chance(0.15) else Node("filter")
        framed = self.dice.random()
        if framed < 0.4:
            order = Node("order", total, self.frame("ROWS"))
        elif framed < 0.55:
            order = Node("order", peers, self.frame("GROUPS"))
        elif framed < 0.75:
            # Distances need one key that is a number.
            order = Node("order", "ORDER BY ", self.small_int(scope), f" {self.pick(NULLS)}", self.frame("RANGE"))
        elif framed < 0.9:
            order = peers
        else:
            order = Node("order")
        return Node(result, f"{word}(", item, ")", filtered, " OVER (", partition, order, ")")

    def frame(self, unit):
        # DuckDB leaves the peers out where a RANGE frame begins at 0 FOLLOWING or ends at 0 PRECEDING.
        n = lambda: self.pick([1, 2, 5] if unit == "RANGE" else [0, 1, 2, 5])
        start, end = self.pick(
            [
                ("UNBOUNDED PRECEDING", "CURRENT ROW"),
                ("UNBOUNDED PRECEDING", "UNBOUNDED FOLLOWING"),
                ("CURRENT ROW", "UNBOUNDED FOLLOWING"),
                (f"{n()} PRECEDING", "CURRENT ROW"),
                (f"{n()} PRECEDING", f"{n()} FOLLOWING"),
                ("5 PRECEDING", "1 PRECEDING"),
                ("1 FOLLOWING", "3 FOLLOWING"),
                ("UNBOUNDED PRECEDING", f"{n()} PRECEDING"),
                (f"{n()} FOLLOWING", "UNBOUNDED FOLLOWING"),
            ]
        )
        return Node("frame", f" {unit} BETWEEN {start} AND {end}")

    # Queries

    def query(self):
        before = []
        if self.chance(0.15):
            alias = self.alias()
            body = Node("cte", f"w AS (SELECT * FROM {self.source()} {alias} WHERE ", self.predicate(Scope.of(alias), 1), ")")
            before.append(body)
            self.ctes.append("w")
        if self.chance(0.15):
            branches, words, kinds = self.set_operation()
        else:
            select, kinds = self.select()
            branches, words = [select], []
        order, limit, offset = None, None, None
        if self.chance(0.5):
            order = [self.pick(NULLS) for _ in kinds]
            limit = self.dice.randint(0, 12) if self.chance(0.5) else None
            offset = self.dice.randint(0, 5) if self.chance(0.2) else None
        return Query(branches, words, order, limit, offset, before)

    def select(self):
        source, scope = self.join(self.dice.choices([0, 1, 2], [4, 5, 2])[0])
        where = Node("where", " WHERE ", self.predicate(scope)) if self.chance(0.4) else Node("where")
        choice = self.dice.random()
        if choice < 0.35:
            return self.grouped(source, scope, where)
        kinds = [self.pick(list(SQL_TYPES)) for _ in range(self.dice.randint(1, 4))]
        items = [self.expression(scope, kind) for kind in kinds]
        distinct = ""
        if choice < 0.65:
            windows = [self.window(scope) for _ in range(self.dice.randint(1, 3))]
            items, kinds = items + windows, kinds + [window.kind for window in windows]
        elif self.chance(0.25):
            distinct = "DISTINCT "
        return Select(distinct, Many("items", items), " FROM ", source, where), kinds

    def grouped(self, source, scope, where):
        kinds = [self.pick(["int", "text", "bool", "date", "decimal", "time"]) for _ in range(self.dice.randint(0, 3))]
        names = [self.key(scope, kind) for kind in kinds]
        aggregates = [self.aggregate(scope) for _ in range(self.dice.randint(1, 3))]
        having = Node("having", " HAVING ", self.aggregate_predicate(scope)) if self.chance(0.2) else Node("having")
        if not names:
            return Select("", Many("items", aggregates), " FROM ", source, where, having), [a.kind for a in aggregates]
        sets = self.dice.random()
        texts = [Leaf("key", name) for name in names]
        if sets < 0.65:
            by = Many("by", texts)
        elif sets < 0.8:
            by = Node("by", self.pick(["ROLLUP (", "CUBE ("]), Many("keys", texts), ")")
        else:
            every = range(len(texts))
            groups = [every] + [[i for i in every if self.chance(0.6)] for _ in range(self.dice.randint(0, 2))]
            self.dice.shuffle(groups)
            groups = [Grouping(", ".join("{%d}" % i for i in group), texts) for group in groups]
            by = Node("by", "GROUPING SETS (", Many("sets", groups), ")")
        items = [Node(kind, name) for kind, name in zip(kinds, names)]
        return (
            Select("", Many("items", items + aggregates), " FROM ", source, where, " GROUP BY ", by, having),
            kinds + [a.kind for a in aggregates],
        )

    def key(self, scope, kind):
        """What rows are grouped by: a number alone would be the position of a column."""
        key = self.column(scope, kind) if self.chance(0.7) else self.expression(scope, kind, 1)
        return self.column(scope, kind) if isinstance(key, Leaf) and "." not in key.text("") else key

    def aggregate_predicate(self, scope):
        aggregate = self.pick(["count(*)", f"count({self.column(scope, 'int').text('')})", f"max({self.small_int(scope).text('')})"])
        return Leaf("bool", f"{aggregate} {self.pick(['>', '<', '=', '>='])} {self.dice.randint(0, 4)}")

    def set_operation(self):
        kinds = [self.pick(["int", "text", "date", "bool", "decimal"]) for _ in range(self.dice.randint(1, 3))]
        branches, words = [], []
        for _ in range(self.dice.choice([2, 2, 3])):
            source, scope = self.join(self.pick([0, 0, 1]))
            where = Node("where", " WHERE ", self.predicate(scope, 1)) if self.chance(0.4) else Node("where")
            items = [Node(k, f"CAST(", self.expression(scope, k, 1), f" AS {SQL_TYPES[k]})") for k in kinds]
            branches.append(Select("", Many("items", items), " FROM ", source, where))
        word = self.pick(["UNION", "UNION ALL", "EXCEPT", "EXCEPT ALL", "INTERSECT", "INTERSECT ALL"])
        words = [word for _ in branches[1:]]
        return branches, words, kinds


class Grouping(Node):
    """One set of GROUPING SETS."""

    def __init__(self, form, keys):
        super().__init__("set")
        self.form, self.keys = form, keys

    def text(self, dialect):
        return "(" + self.form.format(*(key.text(dialect) for key in self.keys)) + ")"
