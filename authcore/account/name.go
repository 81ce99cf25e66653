package account

import (
	"fmt"

	"mana.how/edge/internal/usertext"
)

// MaxName is how long the name of a person may be, in characters.
const MaxName = 255

// NameOf checks the name of a person.
func NameOf(text string) (string, error) {
	name, err := usertext.Line(text, MaxName)
	if err != nil {
		return "", fmt.Errorf("%w: name %w", ErrInvalidInput, err)
	}
	return name, nil
}
