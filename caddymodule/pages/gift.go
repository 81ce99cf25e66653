package pages

import "time"

// Gift is what the link of a gift shows. An empty Status is that of a code
// that does not exist. Creator, Message and Riddle may be empty.
type Gift struct {
	Code, Status             string
	Credits                  string // of one portion
	Portions, Left           int
	Creator, Message, Riddle string
	Personalized             bool
	Closed                   bool // no new account is made
	Expires                  time.Time
}

func (Gift) page() string { return "gift" }
