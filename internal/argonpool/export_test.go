package argonpool

// Linked tells whether the library's function is used.
func Linked() bool { return linked() }

// Waiting is memory that waits for the next hash, nil where the pool has
// dropped it.
func Waiting() []block {
	if blocks, ok := memory.Get().(*[]block); ok {
		return *blocks
	}
	return nil
}
