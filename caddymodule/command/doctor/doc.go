// Package doctor is the command `mana-edge mana doctor`: it looks for what is
// wrong with a config, its database and what it talks to, and says what to do.
//
// It is larger than others because each thing that is looked at is a file of its own.
package doctor
