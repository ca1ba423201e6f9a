import sqlalchemy
from psycopg import sql
from sluicegate.kit.expression import quote


def bad(cursor, table, day):
    # ruleid: sql-from-text
    cursor.execute(f'select count(*) from "{table}"')
    statement = f"select count(*) from {quote(table)} where day = '{day}'"
    # ruleid: sql-from-text
    cursor.execute(statement)
    # ruleid: sql-from-text
    cursor.execute("select count(*) from %s" % table)
    # ruleid: sql-from-text
    cursor.executemany("insert into {} values (?)".format(table), [])
    # ruleid: sql-from-text
    cursor.copy("copy " + table + " to stdout")
    # ruleid: sql-from-text
    return sqlalchemy.text(f"select '{day}'")


def good(cursor, table, day):
    # ok: sql-from-text
    cursor.execute("select count(*) from flights where day = %s", (day,))
    # ok: sql-from-text
    cursor.execute(f"select count(*) from {quote(table)} where day = %s", (day,))
    # ok: sql-from-text
    cursor.execute(f"{quote(table)}")
    # ok: sql-from-text
    cursor.execute(sql.SQL("select count(*) from {}").format(sql.Identifier(table)))
    # ok: sql-from-text
    return cursor.copy("copy " + quote(table) + " to stdout")
