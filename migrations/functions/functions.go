// Package functions holds what the ledger decides in the database: SQL files, a
// file a function, named after it.
//
// The files say fn where the schema of their set stands. A set is all functions
// of one binary, in a schema that is named after what they say: an edge goes on
// with its own functions while a newer one beside it brings others.
package functions

import (
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"io/fs"
	"regexp"
	"strings"
)

//go:embed *.sql
var files embed.FS

// Function is one file: the definition of the function it is named after.
type Function struct {
	Name string // without a schema, such as "debit"
	SQL  string // with the schema of the set
}

// Schema is that of this binary's set, such as "mana_functions_3f9a0c12d4e5".
// Statements call a function by it: "SELECT "+functions.Schema+".reap($1)".
var Schema, all = load()

// All are the functions of this binary in the order of their names.
func All() []Function { return all }

// own is how the files name the schema of their set.
var own = regexp.MustCompile(`\bfn\.`)

func load() (schema string, set []Function) {
	sum := sha256.New()
	// What is embedded is there, and its patterns were checked by the compiler.
	_ = fs.WalkDir(files, ".", func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		text, err := files.ReadFile(path)
		if err != nil {
			return err
		}
		_, _ = sum.Write(append([]byte(path+"\n"), text...))
		set = append(set, Function{strings.TrimSuffix(path, ".sql"), string(text)})
		return nil
	})
	schema = "mana_functions_" + hex.EncodeToString(sum.Sum(nil)[:6])
	for i := range set {
		set[i].SQL = own.ReplaceAllString(set[i].SQL, schema+".")
	}
	return schema, set
}
