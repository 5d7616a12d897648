/* SQLite, unmodified, in an app: makes a database file in /tmp, fills it, asks it questions and checks that it is whole. The amalgamation
 * comes from the crate libsqlite3-sys; see README.md. */
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "sqlite3.h"

#define DATABASE "/tmp/planets.db"

/* Made from the table's own rows, so that the file grows to many pages. */
#define ROWS_OF_LOG 1000

static sqlite3 *open_database(void) {
    sqlite3 *database;
    if (sqlite3_open(DATABASE, &database) != SQLITE_OK) {
        fprintf(stderr, "sqlite: cannot open %s: %s\n", DATABASE, sqlite3_errmsg(database));
        exit(1);
    }
    return database;
}

/* Prints a row as SQLite's own shell does: columns divided by bars. */
static int print_row(void *unused, int count, char **values, char **names) {
    (void)unused, (void)names;
    for (int i = 0; i < count; i++) printf("%s%s", i ? "|" : "", values[i] ? values[i] : "");
    putchar('\n');
    return 0;
}

/* Runs `sql`, prints what it returns, and ends the program where it fails. */
static void run(sqlite3 *database, const char *sql) {
    char *message = NULL;
    if (sqlite3_exec(database, sql, print_row, NULL, &message) != SQLITE_OK) {
        fprintf(stderr, "sqlite: %s\nin: %s\n", message, sql);
        exit(1);
    }
}

static void fill_log(sqlite3 *database) {
    sqlite3_stmt *insert;
    run(database, "BEGIN");
    if (sqlite3_prepare_v2(database, "INSERT INTO log(line) VALUES (printf('entry %06d', ?))", -1, &insert, NULL) != SQLITE_OK) {
        fprintf(stderr, "sqlite: %s\n", sqlite3_errmsg(database));
        exit(1);
    }
    for (int i = 1; i <= ROWS_OF_LOG; i++) {
        sqlite3_bind_int(insert, 1, i);
        if (sqlite3_step(insert) != SQLITE_DONE) {
            fprintf(stderr, "sqlite: row %d: %s\n", i, sqlite3_errmsg(database));
            exit(1);
        }
        sqlite3_reset(insert);
    }
    sqlite3_finalize(insert);
    run(database, "COMMIT");
}

int main(void) {
    unlink(DATABASE);
    sqlite3 *database = open_database();
    run(database,
        "CREATE TABLE planet(name TEXT PRIMARY KEY, moons INTEGER, year REAL);"
        "CREATE TABLE log(id INTEGER PRIMARY KEY, line TEXT);"
        "INSERT INTO planet VALUES ('Mercury', 0, 0.24), ('Venus', 0, 0.62), ('Earth', 1, 1.0), ('Mars', 2, 1.88);");
    fill_log(database);
    /* A change that is taken back must leave no trace. */
    run(database, "BEGIN; DELETE FROM log; UPDATE planet SET moons = 99; ROLLBACK;");
    sqlite3_close(database);

    /* Opened again, so that every answer comes from the file. */
    database = open_database();
    printf("SQLite %s\n", sqlite3_libversion());
    run(database, "SELECT name, moons, year FROM planet ORDER BY year DESC");
    run(database, "SELECT count(*), min(line), max(line) FROM log");
    run(database, "SELECT sum(moons), round(avg(year), 3) FROM planet");
    run(database, "PRAGMA integrity_check");
    sqlite3_close(database);
    return 0;
}
