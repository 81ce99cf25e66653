package gift

// SetCodes replaces what picks codes.
func (s *Service) SetCodes(f func() Code) { s.newCode = f }

// RandomCode exposes what picks them.
var RandomCode = randomCode

// OccupyHashing takes every slot in which an answer is hashed.
func (s *Service) OccupyHashing() (release func()) {
	for range cap(s.riddles.slots) {
		s.riddles.slots <- struct{}{}
	}
	return func() {
		for range cap(s.riddles.slots) {
			<-s.riddles.slots
		}
	}
}
