package argonpool

import _ "unsafe" // for go:linkname

// fill makes the passes over the memory: steps 5 and 6 of section 3.2. blocks
// are zero but for the first two of each lane.
//
//go:linkname fill golang.org/x/crypto/argon2.processBlocks
func fill(blocks []block, passes, n, lanes uint32, mode int)
