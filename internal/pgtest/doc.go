// Package pgtest gives tests a real PostgreSQL.
//
// One server runs for a test binary, from the first use until [Main] returns or
// the process ends in any way; each test has a database of its own on it. A
// package that uses it begins its tests so:
//
//	func TestMain(m *testing.M) { os.Exit(pgtest.Main(m)) }
//
// The databases are those of a fresh installation: their owner is the login role
// "mana", which may create roles but is no superuser.
package pgtest
