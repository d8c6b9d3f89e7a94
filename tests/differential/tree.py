"""Queries as trees that can be printed for either dialect and cut down while a difference stays."""


class Node:
    """Text and smaller nodes; `kind` is the type of an expression or a part of a query."""

    def __init__(self, kind, *parts):
        self.kind, self.parts = kind, list(parts)

    def text(self, dialect):
        return "".join(part if isinstance(part, str) else part.text(dialect) for part in self.parts)

    def children(self):
        return [part for part in self.parts if isinstance(part, Node)]

    def simpler(self):
        """Nodes that may stand in the place of this one."""
        found = []
        for child in self.children():
            if child.kind == self.kind:
                found.append(child)
            else:
                found += [node for node in child.children() if node.kind == self.kind]
        return found

    def reductions(self):
        """Pairs of functions, of which the first makes the tree smaller and the second undoes it."""
        for index, part in enumerate(self.parts):
            if isinstance(part, Node):
                for node in part.simpler():
                    yield setter(self.parts, index, node), setter(self.parts, index, part)
        for child in self.children():
            yield from child.reductions()


class Leaf(Node):
    """A column or a literal: nothing is simpler."""


class Spelled(Node):
    """What DuckDB and Emporia spell in different ways."""

    def __init__(self, kind, duckdb, emporia):
        super().__init__(kind)
        self.spellings = {"duckdb": duckdb, "emporia": emporia}

    def text(self, dialect):
        return self.spellings[dialect]


class Many(Node):
    """Nodes of which some may go."""

    def __init__(self, kind, nodes, separator=", ", before="", least=1):
        super().__init__(kind, *nodes)
        self.separator, self.before, self.least = separator, before, least

    def text(self, dialect):
        if not self.parts:
            return ""
        return self.before + self.separator.join(part.text(dialect) for part in self.parts)

    def reductions(self):
        for index in reversed(range(len(self.parts))):
            if len(self.parts) > self.least:
                part = self.parts[index]
                yield remover(self.parts, index), inserter(self.parts, index, part)
        yield from super().reductions()


class Query(Node):
    """A whole query: one or more branches of the same columns, and an order that is total."""

    def __init__(self, branches, words, order, limit, offset, before=()):
        super().__init__("query")
        self.branches, self.words, self.order = branches, words, order
        self.limit, self.offset, self.before = limit, offset, list(before)

    def sql(self, dialect, name):
        """The statement; its first column is called `name`."""
        texts = [branch.text_as(dialect, name if i == 0 else "x") for i, branch in enumerate(self.branches)]
        text = "WITH " + ", ".join(cte.text(dialect) for cte in self.before) + " " if self.before else ""
        text += texts[0]
        for word, branch in zip(self.words, texts[1:]):
            text += f" {word} {branch}"
        if self.order:
            n_columns = len(self.branches[0].items.parts)
            text += " ORDER BY " + ", ".join(f"{i + 1} {self.order[i % len(self.order)]}" for i in range(n_columns))
        text += f" LIMIT {self.limit}" if self.order and self.limit is not None else ""
        text += f" OFFSET {self.offset}" if self.order and self.offset is not None else ""
        return text

    def reductions(self):
        if len(self.branches) > 1:
            for branch in self.branches:
                yield self.change(branches=[branch], words=[])
        for key in ["offset", "limit", "order"]:
            if getattr(self, key):
                yield self.change(**{key: None})
        if self.before:
            yield self.change(before=self.before[:-1])
        items = [branch.items.parts for branch in self.branches]
        for index in reversed(range(len(items[0]))):
            if len(items[0]) > 1:
                kept = [parts[:index] + parts[index + 1 :] for parts in items]
                yield all_setter(self.branches, kept), all_setter(self.branches, items)
        for node in [*self.branches, *self.before]:
            yield from node.reductions()

    def change(self, **values):
        old = {key: getattr(self, key) for key in values}
        return (lambda: self.__dict__.update(values)), (lambda: self.__dict__.update(old))


class Select(Node):
    """`items` are the columns; the rest is text and nodes."""

    def __init__(self, distinct, items, *rest):
        super().__init__("select", *rest)
        self.distinct, self.items = distinct, items

    def text(self, dialect):
        return self.text_as(dialect, "x")

    def text_as(self, dialect, name):
        items = [f"{item.text(dialect)} AS {name}{i or ''}" for i, item in enumerate(self.items.parts)]
        return f"SELECT {self.distinct}{', '.join(items)}{super().text(dialect)}"

    def reductions(self):
        if self.distinct:
            word = self.distinct
            yield (lambda: setattr(self, "distinct", "")), (lambda: setattr(self, "distinct", word))
        for index, item in enumerate(self.items.parts):
            for node in item.simpler():
                yield setter(self.items.parts, index, node), setter(self.items.parts, index, item)
            yield from item.reductions()
        yield from super().reductions()


def setter(parts, index, value):
    return lambda: parts.__setitem__(index, value)


def remover(parts, index):
    return lambda: parts.pop(index)


def inserter(parts, index, value):
    return lambda: parts.insert(index, value)


def all_setter(branches, lists):
    def run():
        for branch, parts in zip(branches, lists):
            branch.items.parts = parts

    return run
