// Package backup keeps the embedded database of an edge in one file, and makes
// one of such a file: `mana-edge mana backup` and `mana-edge mana restore`.
//
// The file is a tar archive under age encryption, by a passphrase or for public
// keys. In it, in this order: manifest.json, encryption_key, the pictures of users
// below pictures/, and database.dump in pg_dump's custom format, schema and rows.
// With the encryption key in it, whoever can open the file can sign tokens:
// hence it is never written in clear.
package backup
